package io.espalier.tensor;

/**
 * An error that libtorch reported; the message is its first line, without the native frames that
 * follow it.
 */
public class TensorException extends EspalierException {
    private static final long serialVersionUID = 1L;

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
                : new TensorException(where + ": " + firstLine(error), error);
    }

    private static String firstLine(RuntimeException error) {
        String message = error.getMessage();
        return message == null
                ? error.getClass().getSimpleName()
                : message.lines().findFirst().orElse("");
    }
}
