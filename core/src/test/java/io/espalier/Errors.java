package io.espalier;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.espalier.tensor.EspalierException;

import org.junit.jupiter.api.function.Executable;

import java.util.Objects;

/** What the tests of wrong use ask: the one line an operation fails with. */
public final class Errors {
    private Errors() {}

    /**
     * The message of the {@link EspalierException} that the operation throws; it must be one line.
     */
    public static String messageOf(Executable operation) {
        String message =
                Objects.requireNonNull(
                        assertThrows(EspalierException.class, operation).getMessage());
        assertFalse(message.contains("\n"), message);
        return message;
    }
}
