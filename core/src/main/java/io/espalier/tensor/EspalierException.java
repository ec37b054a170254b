package io.espalier.tensor;

import org.jspecify.annotations.Nullable;

/**
 * What every operation of this library throws when it cannot do what it was asked.
 *
 * <p>The message is one sentence that names what was asked, what is there and what to do. Whatever
 * the operation was given is then as it was before.
 */
public class EspalierException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    /** An error with the sentence a user reads. */
    public EspalierException(String message) {
        super(message);
    }

    /** An error with the sentence a user reads, and what caused it; {@code null} if nothing did. */
    public EspalierException(String message, @Nullable Throwable cause) {
        super(message, cause);
    }
}
