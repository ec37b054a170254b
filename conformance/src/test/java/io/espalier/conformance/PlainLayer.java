package io.espalier.conformance;

import io.espalier.conformance.PlainObserver.Scheme;
import io.espalier.conformance.PlainRounding.Step;

import java.util.Arrays;

/** A linear layer or convolution in floats and in 8-bit integers, as plain loops. */
@SuppressWarnings("ArrayRecordComponent") // never compared
record PlainLayer(
        float[] weight,
        long[] weightShape,
        float[] bias,
        PlainConvolution convolution,
        boolean relu) {

    /** Values and their shape. */
    record Reals(float[] values, long[] shape) {
        /** The mean of each channel, [N, C]. */
        Reals pooled() {
            float[] means = new float[(int) (shape[0] * shape[1])];
            int size = values.length / means.length;
            for (int i = 0; i < means.length; i++) {
                double sum = 0;
                for (int j = 0; j < size; j++) {
                    sum += values[i * size + j];
                }
                means[i] = (float) (sum / size);
            }
            return new Reals(means, Arrays.copyOf(shape, 2));
        }

        /** The same of values that are integers of a step, rounded exactly. */
        Reals pooled(Step step) {
            float[] means = new float[(int) (shape[0] * shape[1])];
            int size = values.length / means.length;
            for (int i = 0; i < means.length; i++) {
                long sum = 0;
                for (int j = 0; j < size; j++) {
                    sum += Math.round(values[i * size + j] / step.scale());
                }
                means[i] = (float) Math.rint((double) sum / size) * step.scale();
            }
            return new Reals(means, Arrays.copyOf(shape, 2));
        }

        Reals rectified() {
            float[] y = values.clone();
            for (int i = 0; i < y.length; i++) {
                y[i] = Math.max(y[i], 0);
            }
            return new Reals(y, shape);
        }

        Reals plus(Reals other) {
            float[] y = values.clone();
            for (int i = 0; i < y.length; i++) {
                y[i] += other.values[i];
            }
            return new Reals(y, shape);
        }

        /** What is left after rounding to 8-bit integers and back. */
        Reals rounded(Step step) {
            float[] y = values.clone();
            for (int i = 0; i < y.length; i++) {
                y[i] = step.rounded(y[i], 0, 255);
            }
            return new Reals(y, shape);
        }
    }

    /** With a batch normalization folded in, in PyTorch's order of float operations. */
    PlainLayer folded(float[] gamma, float[] beta, float[] mean, float[] variance, double eps) {
        float[] scale = new float[gamma.length];
        float[] shifted = new float[gamma.length];
        for (int c = 0; c < scale.length; c++) {
            scale[c] = gamma[c] * (1 / (float) Math.sqrt(variance[c] + (float) eps));
            shifted[c] = (bias[c] - mean[c]) * scale[c] + beta[c];
        }
        float[] scaled = weight.clone();
        for (int i = 0; i < scaled.length; i++) {
            scaled[i] *= scale[convolution.channel(i, weightShape)];
        }
        return new PlainLayer(scaled, weightShape, shifted, convolution, relu);
    }

    PlainLayer rectifying(boolean on) {
        return new PlainLayer(weight, weightShape, bias, convolution, on);
    }

    /** The same for an input that is padded already. */
    PlainLayer unpadded() {
        var as = convolution;
        var unpadded =
                new PlainConvolution(as.stride(), 0, as.dilation(), as.groups(), as.transposed());
        return new PlainLayer(weight, weightShape, bias, unpadded, relu);
    }

    Reals of(Reals x) {
        return of(x, weight);
    }

    private Reals of(Reals x, float[] weights) {
        long[] shape = convolution.outputShape(x.shape, weightShape);
        double[] sums = convolution.of(x.values, x.shape, weights, weightShape);
        float[] y = new float[sums.length];
        for (int i = 0; i < y.length; i++) {
            double sum = sums[i] + bias[Draws.channel(i, shape, 1)];
            y[i] = (float) (relu ? Math.max(sum, 0) : sum);
        }
        return new Reals(y, shape);
    }

    /** One step for each output channel, or for all of them. */
    Step[] weightSteps(boolean perChannel) {
        var observer = new PlainObserver(perChannel ? bias.length : 1);
        observer.see(weight, weightShape, 0, Double.NaN);
        return observer.steps(new Scheme(false, true, -128, 127, false));
    }

    long[] integers(Step[] steps) {
        long[] integers = new long[weight.length];
        for (int i = 0; i < integers.length; i++) {
            integers[i] = step(steps, i).integer(weight[i], -128, 127);
        }
        return integers;
    }

    private Step step(Step[] steps, int i) {
        return steps[steps.length == 1 ? 0 : Draws.channel(i, weightShape, 0)];
    }

    /**
     * What integer kernels give: exact sums of rounded values, rounded once at the end.
     *
     * @param steps of the weight, for each output channel or for all
     */
    Reals rounded(Reals x, Step output, Step[] steps) {
        long[] integers = integers(steps);
        float[] weights = new float[weight.length];
        for (int i = 0; i < weights.length; i++) {
            weights[i] = step(steps, i).real(integers[i]);
        }
        return of(x, weights).rounded(output);
    }
}
