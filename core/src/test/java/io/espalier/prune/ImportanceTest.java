package io.espalier.prune;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.data.DataLoader;
import io.espalier.data.Dataset;
import io.espalier.nn.Functional;
import io.espalier.nn.Linear;
import io.espalier.tensor.Tensors;
import io.espalier.train.Losses;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.util.List;

class ImportanceTest {
    @Test
    @DisplayName("gradient importance is the sum over batches of |weight · gradient|")
    void gradient() {
        var layer = new Linear(3, 2);
        layer.parameter("bias").detach().zero_();
        Tensor x = Tensors.randn(4, 3);
        Tensor y = Tensors.randn(4, 2);
        var data = new DataLoader(Dataset.of(x, y), 2);

        float[] scores =
                Tensors.floats(
                        Importance.gradient(layer, Losses.mse(), data)
                                .scores(new Target(layer, "weight")));

        // d mean((xWᵀ − y)²) / dW = 2/(2·2) (xWᵀ − y)ᵀ x, for each batch of two examples
        float[] w = Tensors.floats(layer.weight());
        float[] xs = Tensors.floats(x);
        float[] ys = Tensors.floats(y);
        double[] expected = new double[6];
        for (int batch = 0; batch < 2; batch++) {
            double[] gradient = new double[6];
            for (int n = 2 * batch; n < 2 * batch + 2; n++) {
                for (int out = 0; out < 2; out++) {
                    double error = -ys[2 * n + out];
                    for (int in = 0; in < 3; in++) {
                        error += w[3 * out + in] * xs[3 * n + in];
                    }
                    for (int in = 0; in < 3; in++) {
                        gradient[3 * out + in] += 0.5 * error * xs[3 * n + in];
                    }
                }
            }
            for (int i = 0; i < 6; i++) {
                expected[i] += Math.abs(w[i] * gradient[i]);
            }
        }
        for (int i = 0; i < 6; i++) {
            assertEquals(expected[i], scores[i], 1e-5);
        }
        assertFalse(layer.parameter("weight").grad().defined(), "the gradients are as they were");
        assertTrue(layer.isTraining());
    }

    @Test
    @DisplayName("a product of importances is that of their scores, entry by entry")
    void product() {
        var layer = new Linear(3, 2);
        var target = new Target(layer, "weight");
        float[] random = Tensors.floats(Importance.random(5).scores(target));
        float[] weight = Tensors.floats(layer.weight());

        float[] scores =
                Tensors.floats(Importance.magnitude().times(Importance.random(5)).scores(target));

        for (int i = 0; i < scores.length; i++) {
            assertEquals(Math.abs(weight[i]) * random[i], scores[i], 1e-7);
        }
    }

    @Test
    @DisplayName("a masked weight has gradient importance 0, and global pruning goes by the scores")
    void gradientAndMasks() {
        var layer = new Linear(6, 5);
        Prune.l1Unstructured(layer, "weight", 10);
        var data = new DataLoader(Dataset.of(Tensors.randn(8, 6), Tensors.randn(8, 5)), 8);
        List<Target> targets = List.of(new Target(layer, "weight"));
        var importance = Importance.gradient(layer, Losses.mse(), data);

        float[] mask = Tensors.floats(layer.buffer("weight_mask"));
        float[] scores = Tensors.floats(importance.scores(targets.getFirst()));
        for (int i = 0; i < mask.length; i++) {
            assertEquals(mask[i] == 0, scores[i] == 0, "entry " + i);
        }

        Prune.globalUnstructured(targets, new L1Unstructured(10), importance.scores(targets));

        float[] after = Tensors.floats(layer.buffer("weight_mask"));
        float largestPruned = 0;
        float smallestKept = Float.POSITIVE_INFINITY;
        for (int i = 0; i < mask.length; i++) {
            if (after[i] == 1) {
                smallestKept = Math.min(smallestKept, scores[i]);
            } else {
                largestPruned = Math.max(largestPruned, scores[i]);
            }
        }
        assertTrue(largestPruned <= smallestKept);
    }

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4})
    @DisplayName("LAMP divides a square by the sum of those not smaller, so the largest has 1")
    void lamp(long seed) {
        io.espalier.tensor.Libtorch.seed(seed);
        var layer = new Linear(4, 3);
        float[] w = Tensors.floats(layer.weight());
        float[] scores = Tensors.floats(Importance.lamp().scores(new Target(layer, "weight")));
        for (int i = 0; i < w.length; i++) {
            double notSmaller = 0;
            for (float other : w) {
                notSmaller += Math.abs(other) >= Math.abs(w[i]) ? other * other : 0;
            }
            assertEquals(w[i] * w[i] / notSmaller, scores[i], 1e-5);
        }
    }

    @Test
    @DisplayName("LAMP of zeros is zero")
    void lampOfZeros() {
        var layer = new Linear(2, 2);
        layer.parameter("weight").detach().zero_();
        assertArrayEquals(
                new float[4],
                Tensors.floats(Importance.lamp().scores(new Target(layer, "weight"))));
    }

    @Test
    @DisplayName("random importance repeats with its seed and leaves libtorch's generator alone")
    void random() {
        var a = new Target(new Linear(4, 3), "weight");
        var b = new Target(new Linear(4, 3), "weight");
        io.espalier.tensor.Libtorch.seed(5);
        Tensor expected = Tensors.rand(2);
        io.espalier.tensor.Libtorch.seed(5);
        var first = Importance.random(1).scores(List.of(a, b));
        assertTrue(Tensors.equal(expected, Tensors.rand(2)));
        var second = Importance.random(1).scores(List.of(a, b));
        first.forEach((target, scores) ->
                assertArrayEquals(
                        Tensors.floats(scores),
                        Tensors.floats(second.getOrDefault(target, scores.neg()))));
        assertFalse(Tensors.equal(first.firstEntry().getValue(), first.lastEntry().getValue()));
    }

    @Test
    @DisplayName("a frozen parameter, an empty dataset and a wrong name are named")
    void wrongUse() {
        var layer = new Linear(2, 2);
        var data = Dataset.of(Tensors.randn(4, 2), Tensors.randn(4, 2));
        var importance = Importance.gradient(layer, Functional::mseLoss, new DataLoader(data, 2));
        assertTrue(
                messageOf(() -> importance.scores(new Target(layer, "wieght")))
                        .contains("it has: weight, bias"));
        layer.parameter("weight").requires_grad_(false);
        assertTrue(
                messageOf(() -> importance.scores(new Target(layer, "weight"))).contains("frozen"));
        var empty = Importance.gradient(layer, Losses.mse(), new DataLoader(data.take(0), 2));
        assertTrue(
                messageOf(() -> empty.scores(new Target(layer, "weight")))
                        .contains("at least one batch"));
    }
}
