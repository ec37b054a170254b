package io.espalier.tensor;

import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * An error that libtorch reported; the message is its first line, without the native frames that
 * follow it.
 */
public class TensorException extends EspalierException {
    private static final long serialVersionUID = 1L;

    private static final Pattern NO_KERNEL =
            Pattern.compile("^Could not run '([^']+)' with arguments from the '([^']+)' backend");

    private TensorException(String message, Throwable cause) {
        super(message, cause);
    }

    /**
     * The same error as one of ours.
     *
     * @param where what was being done, such as {@code "Linear(in_features=10, …) on a tensor of
     *     shape [1, 11]"}
     * @param error what a native call threw
     */
    public static EspalierException in(String where, RuntimeException error) {
        return error instanceof EspalierException ours
                ? ours
                : new TensorException(where + ": " + inPlainWords(firstLine(error)), error);
    }

    /** The dispatcher's answer to a tensor of the wrong kind, without its list of backends. */
    private static String inPlainWords(String line) {
        Matcher matcher = NO_KERNEL.matcher(line);
        if (!matcher.find()) {
            return line;
        }
        return matcher.group(2).equals("QuantizedCPU")
                ? matcher.group(1)
                        + " has no kernel for quantized tensors; put a DeQuantStub before it and a"
                        + " QuantStub after it, use a layer in its place, which then computes in"
                        + " floats by itself, or name the module around it when converting:"
                        + " Quantization.convert(model, Set.of(path))."
                : matcher.group(1)
                        + " has no kernel for what it was given ("
                        + matcher.group(2)
                        + "); a quantized operator needs quantized tensors.";
    }

    private static String firstLine(RuntimeException error) {
        String message = error.getMessage();
        return message == null
                ? error.getClass().getSimpleName()
                : message.lines().findFirst().orElse("");
    }
}
