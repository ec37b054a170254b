package io.espalier.quant;

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
