package io.espalier.nn;

import static io.espalier.Errors.messageOf;
import static io.espalier.TensorAssertions.assertClose;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

class NormalizationTest {
    private static void fill(Module layer, String name) {
        layer.parameter(name).detach().copy_(Tensors.randn(Tensors.shape(layer.parameter(name))));
    }

    /** Mean and variance (over count) of the selected values. */
    private static double[] statistics(
            float[] values, int from, int count, int stride, int runs, int runStride) {
        double sum = 0;
        double squares = 0;
        for (int run = 0; run < runs; run++) {
            for (int i = 0; i < count; i++) {
                double value = values[from + run * runStride + i * stride];
                sum += value;
                squares += value * value;
            }
        }
        double mean = sum / (count * runs);
        return new double[] {mean, squares / (count * runs) - mean * mean};
    }

    @Test
    @DisplayName(
            "batch normalization uses the batch in training, moves the running statistics and uses"
                    + " them afterwards")
    void batchNorm() {
        BatchNorm2d layer = new BatchNorm2d(3, o -> o.eps(1e-3).momentum(0.3));
        fill(layer, "weight");
        fill(layer, "bias");
        float[] weight = Tensors.floats(layer.parameter("weight"));
        float[] bias = Tensors.floats(layer.parameter("bias"));
        Tensor x = Tensors.randn(4, 3, 2, 5);
        float[] values = Tensors.floats(x);
        float[] expected = new float[values.length];
        float[] evaluated = new float[values.length];
        float[] means = new float[3];
        float[] variances = new float[3];
        for (int c = 0; c < 3; c++) {
            double[] s = statistics(values, c * 10, 10, 1, 4, 30);
            means[c] = (float) (0.3 * s[0]);
            variances[c] = (float) (0.7 + 0.3 * s[1] * 40 / 39);
            for (int n = 0; n < 4; n++) {
                for (int i = n * 30 + c * 10; i < n * 30 + c * 10 + 10; i++) {
                    expected[i] =
                            (float)
                                    ((values[i] - s[0]) / Math.sqrt(s[1] + 1e-3) * weight[c]
                                            + bias[c]);
                    evaluated[i] =
                            (float)
                                    ((values[i] - means[c])
                                                    / Math.sqrt(variances[c] + 1e-3)
                                                    * weight[c]
                                            + bias[c]);
                }
            }
        }
        assertArrayEquals(expected, Tensors.floats(layer.call(x)), 1e-4f);
        assertArrayEquals(means, Tensors.floats(layer.buffer("running_mean")), 1e-5f);
        assertArrayEquals(variances, Tensors.floats(layer.buffer("running_var")), 1e-5f);
        assertArrayEquals(new long[] {1}, Tensors.longs(layer.buffer("num_batches_tracked")));
        layer.eval();
        assertArrayEquals(evaluated, Tensors.floats(layer.call(x)), 1e-4f);
        assertArrayEquals(means, Tensors.floats(layer.buffer("running_mean")), 1e-5f);
    }

    @Test
    @DisplayName("without running statistics the batch's own are used for inference too")
    void untracked() {
        BatchNorm1d layer = new BatchNorm1d(3, o -> o.trackRunningStats(false));
        Tensor x = Tensors.randn(6, 3);
        Tensor trained = layer.call(x);
        layer.eval();
        assertClose(trained, layer.call(x), 1e-6f);
        assertTrue(layer.runningMean().isEmpty());
        assertEquals(0, layer.ownBuffers().size());
    }

    @Test
    @DisplayName(
            "one and three dimensional batch normalization are the two dimensional one on other"
                    + " shapes")
    void otherRanks() {
        Tensor x = Tensors.randn(2, 3, 4, 5);
        Tensor expected = new BatchNorm2d(3).call(x);
        assertClose(expected.flatten(2, 3), new BatchNorm1d(3).call(x.flatten(2, 3)), 1e-6f);
        assertClose(expected.unsqueeze(2), new BatchNorm3d(3).call(x.unsqueeze(2)), 1e-6f);
    }

    @Test
    @DisplayName("layer normalization normalizes each element of the batch by itself")
    void layerNorm() {
        LayerNorm layer = new LayerNorm(new long[] {2, 5}, o -> o.eps(1e-3));
        fill(layer, "weight");
        fill(layer, "bias");
        float[] weight = Tensors.floats(layer.parameter("weight"));
        float[] bias = Tensors.floats(layer.parameter("bias"));
        Tensor x = Tensors.randn(3, 2, 5);
        float[] values = Tensors.floats(x);
        float[] expected = new float[30];
        for (int n = 0; n < 3; n++) {
            double[] s = statistics(values, n * 10, 10, 1, 1, 0);
            for (int i = 0; i < 10; i++) {
                expected[n * 10 + i] =
                        (float)
                                ((values[n * 10 + i] - s[0]) / Math.sqrt(s[1] + 1e-3) * weight[i]
                                        + bias[i]);
            }
        }
        assertArrayEquals(expected, Tensors.floats(layer.call(x)), 1e-4f);
    }

    @Test
    @DisplayName("group normalization normalizes each group of channels by itself")
    void groupNorm() {
        GroupNorm layer = new GroupNorm(2, 4);
        fill(layer, "weight");
        fill(layer, "bias");
        float[] weight = Tensors.floats(layer.parameter("weight"));
        float[] bias = Tensors.floats(layer.parameter("bias"));
        Tensor x = Tensors.randn(3, 4, 5);
        float[] values = Tensors.floats(x);
        float[] expected = new float[60];
        for (int group = 0; group < 6; group++) {
            double[] s = statistics(values, group * 10, 10, 1, 1, 0);
            for (int i = 0; i < 10; i++) {
                int channel = (group % 2) * 2 + i / 5;
                expected[group * 10 + i] =
                        (float)
                                ((values[group * 10 + i] - s[0])
                                                / Math.sqrt(s[1] + 1e-5)
                                                * weight[channel]
                                        + bias[channel]);
            }
        }
        assertArrayEquals(expected, Tensors.floats(layer.call(x)), 1e-4f);
    }

    @Test
    @DisplayName("instance normalization normalizes each channel of each example by itself")
    void instanceNorm() {
        var layer = new InstanceNorm1d(4, o -> o.affine(true).eps(1e-3));
        fill(layer, "weight");
        fill(layer, "bias");
        float[] weight = Tensors.floats(layer.parameter("weight"));
        float[] bias = Tensors.floats(layer.parameter("bias"));
        Tensor x = Tensors.randn(3, 4, 5);
        float[] values = Tensors.floats(x);
        float[] expected = new float[60];
        for (int row = 0; row < 12; row++) {
            double[] s = statistics(values, row * 5, 5, 1, 1, 0);
            for (int i = row * 5; i < row * 5 + 5; i++) {
                double normal = (values[i] - s[0]) / Math.sqrt(s[1] + 1e-3);
                expected[i] = (float) (normal * weight[row % 4] + bias[row % 4]);
            }
        }
        assertArrayEquals(expected, Tensors.floats(layer.call(x)), 1e-4f);
        assertEquals(
                "InstanceNorm2d(4, eps=1e-05, momentum=0.1, affine=False, bias=False,"
                        + " track_running_stats=False)",
                new InstanceNorm2d(4).toString());
        assertTrue(
                messageOf(() -> new InstanceNorm3d(4).call(x))
                        .contains("5 dimensions (or one less"),
                "names what is needed");
        assertTrue(
                messageOf(() -> layer.call(Tensors.ones(2, 4, 1))).contains("more than one value"),
                "has no variance");
        assertTrue(
                Tensors.equal(
                        layer.call(x).narrow(0, 1, 1).squeeze(0),
                        layer.call(x.narrow(0, 1, 1).squeeze(0))),
                "one example without a batch");
        assertArrayEquals(new long[] {0, 4, 5}, Tensors.shape(layer.call(Tensors.ones(0, 4, 5))));
    }

    @Test
    @DisplayName("wrong numbers and wrong inputs are named")
    void wrongUse() {
        assertEquals(
                "momentum must be in 0…1; asked for 1.5.",
                messageOf(() -> new BatchNorm2d(3, o -> o.momentum(1.5))));
        assertEquals(
                "eps must be at least 0; asked for NaN.",
                messageOf(() -> new LayerNorm(3, o -> o.eps(Double.NaN))));
        assertEquals(
                "GroupNorm can't divide 4 channels into 3 groups; the number of groups must divide"
                        + " the channels.",
                messageOf(() -> new GroupNorm(3, 4)));
        String batchNorm =
                "BatchNorm2d(3, eps=1e-05, momentum=0.1, affine=True, bias=True,"
                        + " track_running_stats=True)";
        assertEquals(
                batchNorm + " on shape [2, 3]: 4 dimensions are needed, [N, C, H, W].",
                messageOf(() -> new BatchNorm2d(3).call(Tensors.randn(2, 3))));
        assertEquals(
                batchNorm + " on shape [2, 4, 1, 1]: the input must have 3 channels.",
                messageOf(() -> new BatchNorm2d(3).call(Tensors.randn(2, 4, 1, 1))));
        assertEquals(
                batchNorm
                        + " on shape [1, 3, 1, 1]: training needs more than one value per channel;"
                        + " give a larger batch or call eval().",
                messageOf(() -> new BatchNorm2d(3).call(Tensors.randn(1, 3, 1, 1))));
        assertEquals(
                "LayerNorm((3,), eps=1e-05, elementwise_affine=True) on shape [3, 4]: the last"
                        + " dimensions must be [3].",
                messageOf(() -> new LayerNorm(3).call(Tensors.randn(3, 4))));
    }
}
