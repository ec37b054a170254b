package io.espalier.conformance;

import io.espalier.conformance.PlainRounding.Step;

import java.util.Arrays;

/**
 * PyTorch's observers of the smallest and largest value as plain loops, for one channel or more.
 */
final class PlainObserver {
    private static final float EPS = Math.ulp(1f);

    final float[] min;
    final float[] max;

    PlainObserver(int channels) {
        min = new float[channels];
        max = new float[channels];
        Arrays.fill(min, Float.POSITIVE_INFINITY);
        Arrays.fill(max, Float.NEGATIVE_INFINITY);
    }

    /**
     * Takes in a batch.
     *
     * @param average what it weighs; NaN for the extremes of all batches
     */
    void see(float[] values, long[] shape, int axis, double average) {
        if (values.length == 0) {
            return;
        }
        var batch = new PlainObserver(min.length);
        for (int i = 0; i < values.length; i++) {
            int c = min.length == 1 ? 0 : Draws.channel(i, shape, axis);
            batch.min[c] = Math.min(batch.min[c], values[i]);
            batch.max[c] = Math.max(batch.max[c], values[i]);
        }
        boolean first = min[0] > max[0];
        for (int c = 0; c < min.length; c++) {
            if (first || Double.isNaN(average)) {
                min[c] = Math.min(min[c], batch.min[c]);
                max[c] = Math.max(max[c], batch.max[c]);
            } else {
                float low = min[c] + (float) average * (batch.min[c] - min[c]);
                float high = max[c] + (float) average * (batch.max[c] - max[c]);
                // Where rounding lets them pass each other, PyTorch fails when asked for a scale.
                min[c] = Math.min(low, high);
                max[c] = Math.max(low, high);
            }
        }
    }

    Step[] steps(Scheme scheme) {
        Step[] steps = new Step[min.length];
        for (int c = 0; c < steps.length; c++) {
            steps[c] = step(min[c], max[c], scheme);
        }
        return steps;
    }

    /** What is mapped to which integers, and whether about zero. */
    record Scheme(
            boolean unsigned, boolean symmetric, int quantMin, int quantMax, boolean custom) {}

    /** {@code UniformQuantizationObserverBase._calculate_qparams}. */
    static Step step(float min, float max, Scheme scheme) {
        float low = Math.min(min, 0);
        float high = Math.max(max, 0);
        int quantMin = scheme.quantMin;
        int quantMax = scheme.quantMax;
        if (scheme.symmetric) {
            float scale = Math.max(-low, high) / (float) ((double) (quantMax - quantMin) / 2);
            int middle = scheme.custom ? Math.floorDiv(quantMin + quantMax, 2) : 128;
            return new Step(Math.max(scale, EPS), scheme.unsigned ? middle : 0);
        }
        float scale = Math.max((high - low) / (quantMax - quantMin), EPS);
        int zeroPoint = quantMin - (int) Math.rint(low / scale);
        return new Step(scale, Math.clamp(zeroPoint, quantMin, quantMax));
    }
}
