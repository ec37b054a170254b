package io.espalier.tensor;

import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * An error that libtorch reported; the message is its first line, without the native frames that
 * follow it.
 */
@Internal
public class TensorException extends EspalierException {
    private static final long serialVersionUID = 1L;

    private static final Pattern NO_KERNEL =
            Pattern.compile("^Could not run '([^']+)' with arguments from the '([^']+)' backend");

    private static final Pattern MIXED =
            Pattern.compile("promoteTypes with quantized numbers|same dtype, but got .*QU?Int");

    private static final Pattern ARITHMETIC =
            Pattern.compile("aten::(add|mul|cat|matmul|bmm|mm)\\b.*");

    private static final String BY_FUNCTIONAL =
            "let a FloatFunctional compute it, a child of the module whose result is observed and"
                    + " quantized (sum.add(a, b) instead of a.add(b)), or ";

    private static final String ADVICE =
            "put a DeQuantStub before it and a QuantStub after it, use a layer in its place, or a"
                    + " FloatFunctional for a sum or product, which compute in floats by"
                    + " themselves where they must, or name the module around it when converting:"
                    + " Quantization.convert(model, Set.of(path)).";

    private static final String MIXED_WORDS =
            "no kernel takes quantized tensors and floats together; " + ADVICE;

    private static final Pattern OWN_CHECK = Pattern.compile("^(.*?) *INTERNAL ASSERT FAILED.*");

    private static final Pattern NO_MEMORY =
            Pattern.compile("can't allocate memory: you tried to allocate (\\d+) bytes");

    private static final Pattern FREED =
            Pattern.compile("^(Pointer address of argument \\d+|This pointer address) is NULL");

    private static final String FREED_WORDS =
            "a tensor was used after it was freed, with the PointerScope that it was made in or"
                    + " with its batch when the loader went on; Tensors.keep(tensor) lets one live"
                    + " on.";

    private final boolean placed;

    private TensorException(String message, boolean placed, RuntimeException error) {
        super(message);
        this.placed = placed;
        if (lacksPlace(error)) {
            // The native error's own message carries all its frames; this one takes its place.
            setStackTrace(error.getStackTrace());
        } else {
            initCause(error);
        }
    }

    /**
     * The same error as one of ours.
     *
     * @param where what was being done, such as {@code "Linear(in_features=10, …) on a tensor of
     *     shape [1, 11]"}
     * @param error what a native call threw; one that knows its place already stays as it is
     */
    public static EspalierException in(String where, RuntimeException error) {
        return switch (error) {
            case TensorException ours when !ours.placed ->
                    new TensorException(where + ": " + ours.getMessage(), true, ours);
            case EspalierException ours -> ours;
            default ->
                    new TensorException(where + ": " + inPlainWords(firstLine(error)), true, error);
        };
    }

    /**
     * The error of an operator, which does not know whose call failed; {@link #in} says it.
     *
     * @param operator its name
     */
    static TensorException of(String operator, RuntimeException error) {
        return new TensorException(operator + ": " + inPlainWords(firstLine(error)), false, error);
    }

    /**
     * The error of an operator that was given a tensor that is no more; another mistake stays
     * itself. It does not know whose call failed; {@link #in} says it.
     *
     * @param operator its name
     */
    public static RuntimeException ofFreed(String operator, NullPointerException error) {
        return lacksPlace(error) ? of(operator, error) : error;
    }

    /** The error of an operator that was given quantized tensors and floats. */
    static TensorException mixed(String operator) {
        return of(operator, new RuntimeException(MIXED_WORDS));
    }

    /** The error of whoever uses a tensor that is no more. */
    static TensorException freed() {
        return new TensorException(
                FREED_WORDS, false, new NullPointerException("This pointer address is NULL."));
    }

    /** Whether an error comes from libtorch and does not say yet what was being done. */
    public static boolean lacksPlace(RuntimeException error) {
        // The binding throws exactly this class; a mistake in Java code stays itself.
        return error.getClass() == RuntimeException.class
                || (error instanceof NullPointerException && FREED.matcher(firstLine(error)).find())
                || (error instanceof TensorException ours && !ours.placed);
    }

    /** The dispatcher's answer to a tensor of the wrong kind, without its list of backends. */
    private static String inPlainWords(String line) {
        if (FREED.matcher(line).find()) {
            return FREED_WORDS;
        }
        Matcher memory = NO_MEMORY.matcher(line);
        if (memory.find()) {
            return "there is no memory for %s bytes".formatted(memory.group(1));
        }
        Matcher check = OWN_CHECK.matcher(line);
        if (check.find()) {
            return "libtorch refused it, because this does not hold: " + check.group(1);
        }
        if (MIXED.matcher(line).find()) {
            return MIXED_WORDS;
        }
        Matcher matcher = NO_KERNEL.matcher(line);
        if (!matcher.find()) {
            return line;
        }
        String operator = matcher.group(1);
        return matcher.group(2).equals("QuantizedCPU")
                ? operator + " has no kernel for quantized tensors; " + advice(operator)
                : operator
                        + " has no kernel for what it was given ("
                        + matcher.group(2)
                        + "); a quantized operator needs quantized tensors.";
    }

    private static String advice(String operator) {
        return ARITHMETIC.matcher(operator).matches() ? BY_FUNCTIONAL + ADVICE : ADVICE;
    }

    private static String firstLine(RuntimeException error) {
        String message = error.getMessage();
        return message == null
                ? error.getClass().getSimpleName()
                : message.lines().findFirst().orElse("");
    }
}
