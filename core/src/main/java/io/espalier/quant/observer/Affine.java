package io.espalier.quant.observer;

/**
 * The step from a range of real numbers to scale and zero point, as PyTorch computes it in floats.
 */
final class Affine {
    private Affine() {}

    /** Parameters for the given smallest and largest value of each channel, or of the tensor. */
    static QuantizationParameters parameters(ObserverSettings settings, float[] min, float[] max) {
        float[] scales = new float[min.length];
        int[] zeroPoints = new int[min.length];
        for (int c = 0; c < min.length; c++) {
            // Zero must be exact; a channel that saw nothing (+∞, −∞) comes out as zero too.
            float low = Math.min(min[c] <= max[c] ? min[c] : 0, 0);
            float high = Math.max(min[c] <= max[c] ? max[c] : 0, 0);
            if (settings.qscheme().isSymmetric()) {
                scales[c] = symmetricScale(settings, Math.max(-low, high));
                zeroPoints[c] = symmetricZeroPoint(settings);
            } else {
                scales[c] = Math.max((high - low) / steps(settings), settings.eps());
                if (settings.qscheme() == Qscheme.PER_CHANNEL_AFFINE_FLOAT_QPARAMS) {
                    scales[c] = shortened(scales[c], settings.dtype());
                }
                zeroPoints[c] = zeroPoint(settings, low, scales[c]);
            }
        }
        return new QuantizationParameters(
                scales,
                zeroPoints,
                settings.qscheme().isPerChannel() ? settings.channelAxis() : -1,
                settings.dtype(),
                settings.qscheme(),
                settings.quantMin(),
                settings.quantMax());
    }

    static QuantizationParameters parameters(ObserverSettings settings, float min, float max) {
        return parameters(settings, new float[] {min}, new float[] {max});
    }

    /**
     * The next scale of so few bits that its product with a zero point is exact in what rows of
     * tables keep it in: 24 bits less 8, or, of 16-bit floats, 11 bits less 4.
     */
    private static float shortened(float scale, QuantizedType dtype) {
        boolean half = dtype == QuantizedType.QUINT4X2;
        float unit = Math.ulp(scale) * (half ? 1 << 17 : 1 << 8);
        float least = half ? 0x1p-24f : unit;
        return (float) Math.ceil(scale / Math.max(unit, least)) * Math.max(unit, least);
    }

    private static float steps(ObserverSettings settings) {
        return (float) ((double) settings.quantMax() - settings.quantMin());
    }

    private static float symmetricScale(ObserverSettings settings, float largest) {
        double half = ((double) settings.quantMax() - settings.quantMin()) / 2;
        return Math.max(largest / (float) half, settings.eps());
    }

    private static int symmetricZeroPoint(ObserverSettings settings) {
        if (settings.dtype() != QuantizedType.QUINT8) {
            return 0;
        }
        return settings.hasCustomRange()
                ? Math.floorDiv(settings.quantMin() + settings.quantMax(), 2)
                : 128;
    }

    private static int zeroPoint(ObserverSettings settings, float low, float scale) {
        double zeroPoint = settings.quantMin() - Math.rint(low / scale);
        return (int) Math.clamp(zeroPoint, settings.quantMin(), settings.quantMax());
    }
}
