package io.espalier.conformance;

import io.espalier.tensor.Tensors;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

import java.util.Arrays;
import java.util.stream.IntStream;

/** Layers with their batch normalization folded in, a second time, as plain loops. */
@DisplayName("Folding, derived anew in plain loops,")
class RederivedFusionTest {
    private static final int CASES = 120;

    static IntStream seeds() {
        return IntStream.range(0, CASES);
    }

    /** The statistics and parameters of a batch normalization. */
    @SuppressWarnings("ArrayRecordComponent") // never compared
    private record Norm(float[] weight, float[] bias, float[] mean, float[] variance, double eps) {
        static Norm drawn(Draws draws, int channels) {
            return new Norm(
                    draws.normal(channels, 1),
                    draws.normal(channels, 1),
                    draws.normal(channels, 1),
                    draws.uniform(channels, draws.of(0.0, 0.5), 2),
                    draws.of(1e-5, 1e-3, 0.1));
        }

        double scale(int channel) {
            return weight[channel] / Math.sqrt(variance[channel] + eps);
        }

        double of(double value, int channel) {
            return (value - mean[channel]) * scale(channel) + bias[channel];
        }
    }

    @ParameterizedTest(name = "{0}")
    @DisplayName("gives the same weight, bias, output and text")
    @MethodSource("seeds")
    void folds(int seed) {
        var draws = new Draws(seed);
        int dims = draws.random.nextInt(4);
        boolean transposed = dims > 0 && draws.random.nextInt(3) == 0;
        boolean relu = dims > 0 && !transposed && draws.random.nextBoolean();
        boolean hasBias = draws.random.nextInt(4) > 0;
        var convolution =
                dims == 0
                        ? PlainConvolution.USUAL
                        : new PlainConvolution(
                                draws.of(1, 1, 2),
                                draws.of(1, 0, 2),
                                draws.of(1, 1, 2),
                                draws.of(1, 1, 2),
                                transposed);
        int groups = convolution.groups();
        int in = groups * draws.random.nextInt(1, 4);
        int out = groups * draws.random.nextInt(1, 4);
        long[] weightShape = new long[2 + dims];
        long[] shape = new long[2 + dims];
        Arrays.fill(weightShape, draws.of(3, 3, 1, 2));
        Arrays.fill(shape, dims == 3 ? 5 : 6);
        weightShape[0] = transposed ? in : out;
        weightShape[1] = (transposed ? out : in) / groups;
        shape[0] = draws.random.nextInt(1, 4);
        shape[1] = in;

        float[] weight = draws.normal(Draws.size(weightShape), 1);
        float[] bias = hasBias ? draws.normal(out, 1) : new float[out];
        float[] x = draws.normal(Draws.size(shape), 1);
        Norm norm = Norm.drawn(draws, out);
        float[] folded = new float[weight.length];
        for (int i = 0; i < weight.length; i++) {
            folded[i] = (float) (weight[i] * norm.scale(convolution.channel(i, weightShape)));
        }
        float[] shifted = new float[out];
        for (int c = 0; c < out; c++) {
            shifted[c] = (float) norm.of(bias[c], c);
        }
        long[] outShape = convolution.outputShape(shape, weightShape);
        double[] sums = convolution.of(x, shape, weight, weightShape);
        float[] y = new float[sums.length];
        for (int i = 0; i < y.length; i++) {
            int c = Draws.channel(i, outShape, 1);
            double value = norm.of(sums[i] + bias[c], c);
            y[i] = (float) (relu ? Math.max(value, 0) : value);
        }

        String kind = dims == 0 ? "linear" : (transposed ? "conv_transpose" : "conv") + dims + "d";
        var written =
                new CaseWriter(kind + "_bn" + (relu ? "_relu" : ""))
                        .param("eps", norm.eps)
                        .input("weight", draws.tensor(weight, weightShape))
                        .input("bn_weight", Tensors.of(norm.weight))
                        .input("bn_bias", Tensors.of(norm.bias))
                        .input("running_mean", Tensors.of(norm.mean))
                        .input("running_var", Tensors.of(norm.variance))
                        .input("x", draws.tensor(x, shape))
                        .expect("weight", Tensors.of(folded, weightShape))
                        .expect("bias", Tensors.of(shifted))
                        .expect("y", Tensors.of(y, outShape));
        if (hasBias) {
            written.input("bias", Tensors.of(bias));
        }
        if (dims > 0) {
            written.param("padding", convolution.padding())
                    .param("stride", convolution.stride())
                    .param("dilation", convolution.dilation())
                    .param("groups", groups);
        }
        written.passes(new FuseGroup());
    }
}
