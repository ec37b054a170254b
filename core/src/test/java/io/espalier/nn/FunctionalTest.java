package io.espalier.nn;

import static io.espalier.Errors.messageOf;
import static io.espalier.TensorAssertions.assertClose;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

import java.util.List;
import java.util.function.DoubleUnaryOperator;
import java.util.stream.Stream;

class FunctionalTest {
    private static final float[] POINTS = {-7, -3, -2.5f, -1, -0.1f, 0, 0.1f, 1, 2.9f, 3, 6, 8};

    private static double clamp(double x, double low, double high) {
        return Math.min(Math.max(x, low), high);
    }

    static Stream<Arguments> activations() {
        return Stream.of(
                activation(new ReLU(), x -> Math.max(x, 0)),
                activation(new ReLU6(), x -> clamp(x, 0, 6)),
                activation(new LeakyReLU(0.2), x -> x > 0 ? x : 0.2 * x),
                activation(new PReLU(), x -> x > 0 ? x : 0.25 * x),
                activation(new ELU(1.5), x -> x > 0 ? x : 1.5 * Math.expm1(x)),
                activation(
                        new GELU(true),
                        x ->
                                0.5
                                        * x
                                        * (1
                                                + Math.tanh(
                                                        Math.sqrt(2 / Math.PI)
                                                                * (x + 0.044715 * x * x * x)))),
                activation(new SiLU(), x -> x / (1 + Math.exp(-x))),
                activation(new Hardswish(), x -> x * clamp(x + 3, 0, 6) / 6),
                activation(new Hardsigmoid(), x -> clamp(x + 3, 0, 6) / 6),
                activation(new Sigmoid(), x -> 1 / (1 + Math.exp(-x))),
                activation(new Tanh(), Math::tanh),
                activation(new Identity(), x -> x));
    }

    private static Arguments activation(Module layer, DoubleUnaryOperator function) {
        return Arguments.of(layer, function);
    }

    @ParameterizedTest(name = "{0}")
    @DisplayName("an activation computes its formula")
    @MethodSource("activations")
    void activation(Module layer, Object function) {
        float[] expected = new float[POINTS.length];
        for (int i = 0; i < POINTS.length; i++) {
            expected[i] = (float) ((DoubleUnaryOperator) function).applyAsDouble(POINTS[i]);
        }
        assertArrayEquals(expected, Tensors.floats(layer.call(Tensors.of(POINTS))), 1e-5f);
    }

    @Test
    @DisplayName("gelu weighs x by the normal distribution function")
    void gelu() {
        // Φ(1) and Φ(−2.5) from tables.
        assertArrayEquals(
                new float[] {0.8413447f, -2.5f * 0.0062097f, 0},
                Tensors.floats(new GELU().call(Tensors.of(1, -2.5f, 0))),
                1e-6f);
    }

    @Test
    @DisplayName("softmax sums to one along its dimension, and its logarithm is its logarithm")
    void softmax() {
        Tensor x = Tensors.of(new float[] {0, (float) Math.log(3), 1, 1}, 2, 2);
        assertArrayEquals(
                new float[] {0.25f, 0.75f, 0.5f, 0.5f},
                Tensors.floats(new Softmax(1).call(x)),
                1e-6f);
        assertClose(new Softmax(0).call(x).log(), new LogSoftmax(0).call(x), 1e-6f);
    }

    @Test
    @DisplayName("dropout drops its share and scales the rest in training only")
    void dropout() {
        Libtorch.seed(1);
        Dropout layer = new Dropout(0.25);
        Tensor ones = Tensors.ones(10_000);
        float[] dropped = Tensors.floats(layer.call(ones));
        int zeros = 0;
        for (float value : dropped) {
            zeros += value == 0 ? 1 : 0;
            assertTrue(value == 0 || Math.abs(value - 4 / 3f) < 1e-6);
        }
        assertEquals(2500, zeros, 150);
        layer.eval();
        assertSame(ones, layer.call(ones));
        assertEquals(
                "The share to drop must be in 0…1; asked for 1.1.",
                messageOf(() -> new Dropout(1.1)));
    }

    @Test
    @DisplayName("embedding looks rows up; the padding's row is zero and gets no gradient")
    void embedding() {
        Embedding layer = new Embedding(5, 3, -1);
        Tensor indices = Tensors.of(new long[] {4, 0, 4, 2}, 2, 2);
        Tensor y = layer.call(indices);
        assertArrayEquals(new long[] {2, 2, 3}, Tensors.shape(y));
        assertClose(layer.weight().select(0, 2), y.select(0, 1).select(0, 1), 0);
        assertClose(Tensors.zeros(3), layer.weight().select(0, 4), 0);
        y.sum().backward();
        float[] gradient = Tensors.floats(layer.parameter("weight").grad());
        assertArrayEquals(new float[] {1, 1, 1, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0}, gradient);
        assertEquals(
                "Embedding(5, 3, padding_idx=4) on shape [1]: indices are Long or Int; these are"
                        + " Float.",
                messageOf(() -> layer.call(Tensors.ones(1))));
        assertEquals(
                "padding_idx must be in -5…4; asked for 5.",
                messageOf(() -> new Embedding(5, 3, 5)));
    }

    @Test
    @DisplayName("losses of differences are means over all elements")
    void differences() {
        Tensor a = Tensors.of(1, 2, 5);
        Tensor b = Tensors.of(1, 4, 1);
        assertEquals(20 / 3.0, Functional.mseLoss(a, b).item_float(), 1e-6);
        assertEquals(2, Functional.l1Loss(a, b).item_float(), 1e-6);
        assertEquals((1.5 + 3.5) / 3, Functional.huberLoss(a, b, 1).item_float(), 1e-6);
    }

    @Test
    @DisplayName(
            "cross entropy is the mean of the classes' negative log likelihoods, weighted and"
                    + " smoothed as asked")
    void crossEntropy() {
        Tensor logits =
                Tensors.of(new float[] {0, (float) Math.log(3), (float) Math.log(4), 0}, 2, 2);
        Tensor target = Tensors.of(new long[] {1, 1}, 2);
        double first = -Math.log(0.75);
        double second = -Math.log(0.2);
        assertEquals(
                (first + second) / 2, Functional.crossEntropy(logits, target).item_float(), 1e-6);
        assertEquals(
                (first + second) / 2,
                Functional.nllLoss(Functional.logSoftmax(logits, 1), target).item_float(),
                1e-6);
        double firstOther = -Math.log(0.25);
        double secondOther = -Math.log(0.8);
        assertEquals(
                0.95 * (first + second) / 2 + 0.05 * (firstOther + secondOther) / 2,
                Functional.crossEntropy(logits, target, null, 0.1).item_float(),
                1e-6);
        Tensor mixed = Tensors.of(new long[] {0, 1}, 2);
        assertEquals(
                (3 * firstOther + 1 * second) / 4,
                Functional.crossEntropy(logits, mixed, Tensors.of(3, 1), 0).item_float(),
                1e-6);
        Tensor shares = Tensors.of(new float[] {0.5f, 0.5f, 0, 1}, 2, 2);
        assertEquals(
                (0.5 * first + 0.5 * firstOther + second) / 2,
                Functional.crossEntropy(logits, shares).item_float(),
                1e-6);
    }

    @Test
    @DisplayName("binary cross entropy of logits is that of their sigmoids")
    void binaryCrossEntropy() {
        Tensor logits = Tensors.of(0, (float) Math.log(3));
        Tensor target = Tensors.of(1, 0);
        double expected = (-Math.log(0.5) - Math.log(0.25)) / 2;
        assertEquals(
                expected,
                Functional.binaryCrossEntropyWithLogits(logits, target).item_float(),
                1e-6);
        assertEquals(
                expected,
                Functional.binaryCrossEntropy(Functional.sigmoid(logits), target).item_float(),
                1e-6);
    }

    @Test
    @DisplayName(
            "the loss of a text sums over all ways of placing its characters, by its length and"
                    + " over the batch")
    void ctcLoss() {
        // Two steps, two texts, classes blank, a and b.
        Tensor shares =
                Tensors.of(
                        new float[] {
                            0.5f, 0.3f, 0.2f, 0.1f, 0.6f, 0.3f, 0.2f, 0.7f, 0.1f, 0.3f, 0.3f, 0.4f
                        },
                        2,
                        2,
                        3);
        double a = 0.5 * 0.7 + 0.3 * 0.2 + 0.3 * 0.7;
        double ab = 0.6 * 0.4;
        assertEquals(
                (-Math.log(a) - Math.log(ab) / 2) / 2,
                Functional.ctcLoss(
                                shares.log(),
                                Tensors.of(new long[] {1, 1, 2}, 3),
                                new long[] {2, 2},
                                new long[] {1, 2})
                        .item_float(),
                1e-6);
    }

    @Test
    @DisplayName("the divergence of distributions is summed over each and averaged over the batch")
    void klDivergence() {
        Tensor predicted = Tensors.of(new float[] {0.5f, 0.5f, 0.25f, 0.75f}, 2, 2).log();
        Tensor target = Tensors.of(new float[] {0.5f, 0.5f, 0.5f, 0.5f}, 2, 2);
        double second = 0.5 * Math.log(0.5 / 0.25) + 0.5 * Math.log(0.5 / 0.75);
        assertEquals(second / 2, Functional.klDivergence(predicted, target).item_float(), 1e-6);
    }

    @Test
    @DisplayName("a float functional computes its operations and shows their results to its child")
    void floatFunctional() {
        FloatFunctional functional = new FloatFunctional();
        int[] seen = {0};
        functional
                .module("activation_post_process")
                .onOutput((module, outputs) -> {
                    seen[0]++;
                    return outputs;
                });
        Tensor a = Tensors.of(1, -3);
        Tensor b = Tensors.of(2, 2);
        assertArrayEquals(new float[] {3, -1}, Tensors.floats(functional.add(a, b)));
        assertArrayEquals(new float[] {2, -6}, Tensors.floats(functional.mul(a, b)));
        assertArrayEquals(new float[] {3, 0}, Tensors.floats(functional.addRelu(a, b)));
        assertArrayEquals(
                new float[] {1, -3, 2, 2}, Tensors.floats(functional.cat(List.of(a, b), 0)));
        assertArrayEquals(new float[] {-4}, Tensors.floats(functional.matmul(a, b)));
        assertEquals(5, seen[0]);
        assertArrayEquals(new float[] {3, -1}, Tensors.floats(functional.addScalar(a, 2)));
        assertArrayEquals(new float[] {2, -6}, Tensors.floats(functional.mulScalar(a, 2)));
        assertEquals(5, seen[0]);
        assertEquals(
                "FloatFunctional has no forward; call add, mul, cat or another of its operations.",
                messageOf(() -> functional.call(a)));
        String message = messageOf(() -> functional.add(a, Tensors.ones(3)));
        assertTrue(message.startsWith("FloatFunctional's Add: "), message);
    }
}
