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

        /** As a float. */
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

    /**
     * libtorch's own step, {@code ChooseQuantizationParams}, which fused fake quantization and
     * dynamic layers take.
     *
     * @param aboutZero whether the integers reach as far below zero as above
     */
    static Step chosen(float min, float max, int quantMin, int quantMax, boolean aboutZero) {
        boolean centred = aboutZero && min < 0 && max > 0;
        int range = quantMax - quantMin;
        if (centred) {
            int below = -(range / 2 + 1);
            int above = range / 2;
            double largest = Math.max(Math.abs(min / below), Math.abs(max / above));
            min = (float) (largest * below);
            max = (float) (largest * above);
        }
        min = Math.min(min, 0);
        max = Math.max(max, 0);
        double scale = ((double) max - min) / range;
        if ((float) scale == 0 || Float.isInfinite(1 / (float) scale)) {
            scale = 0.1;
        }
        float least = 6.1e-5f;
        if (scale < least) {
            float grown = least / (float) scale;
            if (min == 0) {
                max = least * range;
            } else if (max == 0) {
                min = -least * range;
            } else {
                min *= grown;
                max *= grown;
            }
            scale = least;
        }
        double fromMin = quantMin - min / scale;
        double fromMax = quantMax - max / scale;
        double errorOfMin = Math.abs(quantMin) - Math.abs(min / scale);
        double errorOfMax = Math.abs(quantMax) - Math.abs(max / scale);
        double zeroPoint = errorOfMin < errorOfMax ? fromMin : fromMax;
        if (min < 0 && max > 0 && aboutZero) {
            zeroPoint = (double) (quantMin + quantMax) / 2;
        }
        return new Step((float) scale, (int) Math.rint(Math.clamp(zeroPoint, quantMin, quantMax)));
    }
}
