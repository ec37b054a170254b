package io.espalier.tensor;

import org.jspecify.annotations.Nullable;

import java.util.Arrays;
import java.util.List;
import java.util.function.UnaryOperator;

/** What a caller has to give: null is refused, by name. */
@Internal
public final class Needed {
    private Needed() {}

    /**
     * The value itself.
     *
     * @param what what it is, such as {@code "the model to fuse"}
     * @throws EspalierException if it is null
     */
    public static <T> T of(@Nullable T value, String what) {
        if (value == null) {
            throw absent(what);
        }
        return value;
    }

    /**
     * The error of a value that is null.
     *
     * @param what what it is, such as {@code "the model to fuse"}
     */
    public static EspalierException absent(String what) {
        return new EspalierException("Null was given for " + what + ", where a value is needed.");
    }

    /**
     * The list itself.
     *
     * @param what what it is, such as {@code "the example"}
     * @throws EspalierException if it is null or holds null
     */
    public static <T> List<T> all(@Nullable List<T> values, String what) {
        int place = 0;
        for (@Nullable T value : of(values, what)) {
            place++;
            if (value == null) {
                throw absent("number " + place + " of " + what);
            }
        }
        return of(values, what);
    }

    /**
     * The values as a list that does not change.
     *
     * @param what what they are, such as {@code "the example"}
     * @throws EspalierException if they are null or hold null
     */
    public static <T> List<T> all(T @Nullable [] values, String what) {
        return all(Arrays.asList(of(values, what).clone()), what);
    }

    /**
     * What a function of the caller's gives.
     *
     * @param what what it gives, such as {@code "the options"}
     * @throws EspalierException if the function or what it gives is null
     */
    public static <T> T from(@Nullable UnaryOperator<T> with, T start, String what) {
        return given(of(with, "the function that sets " + what).apply(start), what);
    }

    /**
     * What a function of the caller's gave.
     *
     * @param what what it should be, such as {@code "the mask"}
     * @throws EspalierException if it is null
     */
    public static <T> T given(@Nullable T value, String what) {
        if (value == null) {
            throw new EspalierException(
                    "A function gave null for " + what + "; it has to return it.");
        }
        return value;
    }
}
