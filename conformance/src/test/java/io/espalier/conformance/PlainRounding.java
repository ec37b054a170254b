package io.espalier.conformance;

/** Rounding to integers and back, value by value, in the floats that PyTorch computes it in. */
final class PlainRounding {
    private PlainRounding() {}

    /** How much of the float range maps to which integers. */
    record Step(float scale, int zeroPoint) {
        /** The nearest integer, of equally near ones the even, before anything is clamped. */
        float nearest(float x) {
            return zeroPoint + (float) Math.rint(x * (1 / scale));
        }

        long integer(float x, long min, long max) {
            return (long) Math.clamp((double) nearest(x), (double) min, (double) max);
        }

        float real(long integer) {
            return (integer - zeroPoint) * scale;
        }

        float rounded(float x, long min, long max) {
            return real(integer(x, min, max));
        }

        boolean isInside(float x, long min, long max) {
            return nearest(x) >= min && nearest(x) <= max;
        }
    }
}
