package io.espalier.conformance;

import io.espalier.conformance.PlainRounding.Step;

import java.util.stream.IntStream;

/**
 * Fake quantization whose range is a moving average, as plain loops.
 *
 * @param range what was seen: of the whole, or of each index of the first dimension
 * @param symmetric whether the integers reach as far below zero as above
 * @param average what a new batch weighs
 */
record PlainFakeQuantize(PlainObserver range, boolean symmetric, int min, int max, double average) {

    void see(float[] x, long[] shape) {
        range.see(x, shape, 0, average);
    }

    /** The steps that libtorch takes from the range as it is now. */
    Step[] steps() {
        return IntStream.range(0, range.min.length)
                .mapToObj(
                        c -> PlainRounding.chosen(range.min[c], range.max[c], min, max, symmetric))
                .toArray(Step[]::new);
    }

    float[] rounded(float[] x, long[] shape) {
        Step[] steps = steps();
        float[] y = new float[x.length];
        for (int i = 0; i < x.length; i++) {
            y[i] = step(steps, i, shape).rounded(x[i], min, max);
        }
        return y;
    }

    /** The gradient of the input: that of the output where nothing was clamped. */
    double[] passed(double[] gradient, float[] x, long[] shape) {
        Step[] steps = steps();
        double[] passed = new double[x.length];
        for (int i = 0; i < x.length; i++) {
            boolean inside = step(steps, i, shape).isInside(x[i], min, max);
            passed[i] = inside ? gradient[i] : 0;
        }
        return passed;
    }

    private static Step step(Step[] steps, int i, long[] shape) {
        return steps[steps.length == 1 ? 0 : Draws.channel(i, shape, 0)];
    }
}
