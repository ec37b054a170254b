package io.espalier.onnx.lower;

import io.espalier.onnx.model.ElementType;

/** Which real numbers hold sums of products of bytes exactly. */
final class Exactness {
    private static final long LARGEST = 255;
    private static final long LARGEST_SIGNED = 128;

    /** All integers up to this one are floats. */
    private static final long FLOATS = 1 << 24;

    private Exactness() {}

    /**
     * Floats or numbers of double precision.
     *
     * @param terms how many products are added up; negative if that is not known
     * @param a the place of the first factor, {@code aZero} that of its zero point
     * @param b the place of the second
     */
    static ElementType forSums(Call call, long terms, int a, int aZero, int b, int bZero) {
        long largest = largest(call, a, aZero) * largest(call, b, bZero);
        return terms >= 0 && terms <= FLOATS / largest ? ElementType.FLOAT : ElementType.DOUBLE;
    }

    private static long largest(Call call, int place, int zeroPoint) {
        return call.type(place) == ElementType.INT8 && Steps.isZero(call, zeroPoint)
                ? LARGEST_SIGNED
                : LARGEST;
    }
}
