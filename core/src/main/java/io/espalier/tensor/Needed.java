package io.espalier.tensor;

import org.jspecify.annotations.Nullable;

import java.util.Arrays;
import java.util.Iterator;
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
     * What can be gone through again and again.
     *
     * @param what what it holds, such as {@code "the batches"}
     * @throws EspalierException if it can be gone through once only, as far as that shows, or gives
     *     null for its iterator
     */
    public static <T extends Iterable<?>> T repeatable(T all, String what) {
        Iterator<?> first = given(all.iterator(), "the iterator of " + what);
        if (!beginsAgain(all, first)) {
            String begin = Character.toUpperCase(what.charAt(0)) + what.substring(1);
            throw new EspalierException(
                    begin
                            + " can be gone through once only, and are gone through many times;"
                            + " give a list of them.");
        }
        return all;
    }

    @SuppressWarnings("ReferenceEquality") // It is about which iterator it is.
    private static boolean beginsAgain(Iterable<?> all, Iterator<?> first) {
        try {
            return all.iterator() != first;
        } catch (IllegalStateException e) {
            return false; // As a stream's, of which there is one.
        }
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
