package io.espalier.compress;

import static io.espalier.Errors.messageOf;
import static io.espalier.TensorAssertions.assertSameTensors;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.prune.DynamicPruning;
import io.espalier.prune.L1Unstructured;
import io.espalier.prune.Prune;
import io.espalier.prune.Schedule;
import io.espalier.prune.Sparsity;
import io.espalier.prune.Target;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;
import io.espalier.train.Optimizers;

import org.bytedeco.pytorch.Optimizer;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.Supplier;

class WeightSharingTest {
    @TempDir Path folder;

    @BeforeEach
    void seed() {
        Libtorch.seed(1);
    }

    private static Sequential network() {
        return new Sequential(new Linear(12, 16), new ReLU(), new Linear(16, 4));
    }

    private static long different(float[] values) {
        var bits = new HashMap<Integer, Integer>();
        for (float value : values) {
            if (value != 0) {
                bits.merge(Float.floatToRawIntBits(value), 1, Integer::sum);
            }
        }
        return bits.size();
    }

    private static float[] weight(Module layer) {
        return Tensors.floats(layer.value("weight"));
    }

    @Test
    @DisplayName("a weight has as many values as its bits say, each the mean of what it stands for")
    void values() {
        var layer = new Linear(30, 40);
        float[] before = weight(layer);
        WeightSharing.share(layer, "weight", 3);
        float[] after = weight(layer);
        assertEquals(8, different(after));
        Map<Float, double[]> means = new HashMap<>();
        for (int i = 0; i < after.length; i++) {
            double[] sum = means.computeIfAbsent(after[i], _ -> new double[2]);
            sum[0] += before[i];
            sum[1]++;
        }
        means.forEach((value, sum) -> assertEquals(sum[0] / sum[1], value, 1e-6));
    }

    @Test
    @DisplayName("each weight gets the nearest value, and none stands for nothing, for any seed")
    void nearest() {
        var random = new Random(3);
        for (int round = 0; round < 50; round++) {
            float[] values = new float[5 + random.nextInt(300)];
            for (int i = 0; i < values.length; i++) {
                double value = random.nextGaussian();
                values[i] = (float) (Math.signum(value) + Math.pow(value, 3));
            }
            int count = 1 + random.nextInt(20);
            Clusters clusters = Clusters.of(values, count);
            boolean[] used = new boolean[clusters.centers().length];
            for (float value : values) {
                int nearest = clusters.nearest(value);
                used[nearest] = true;
                double distance = Math.abs((double) value - clusters.centers()[nearest]);
                for (float other : clusters.centers()) {
                    assertTrue(distance <= Math.abs((double) value - other));
                }
            }
            assertEquals(Math.min(count, values.length), used.length);
            for (boolean each : used) {
                assertTrue(each);
            }
        }
    }

    @Test
    @DisplayName("few values stay what they are")
    void few() {
        float[] values = {3, -1, 3, 7, -1};
        assertArrayEquals(new float[] {-1, 3, 7}, Clusters.of(values, 4).centers());
        assertArrayEquals(new float[] {2.2f}, Clusters.of(values, 1).centers(), 1e-6f);
    }

    @Test
    @DisplayName("the gradient of a value is the sum of those of the weights that have it")
    void gradients() {
        var layer = new Linear(6, 5);
        Prune.l1Unstructured(layer, "weight", 0.5);
        WeightSharing.share(layer, "weight", 1);
        Tensor x = Tensors.randn(7, 6);
        Tensor factor = Tensors.randn(7, 5);
        layer.call(x).mul(factor).sum().backward();
        float[] single = Tensors.floats(factor.t().matmul(x));
        float[] got = Tensors.floats(layer.parameter("weight_orig").grad());
        float[] values = weight(layer);
        for (int i = 0; i < values.length; i++) {
            double sum = 0;
            for (int j = 0; j < values.length; j++) {
                sum += values[i] != 0 && values[j] == values[i] ? single[j] : 0;
            }
            assertEquals(sum, got[i], 1e-4);
        }
    }

    private static void train(Module model, Optimizer optimizer, int steps) {
        for (int i = 0; i < steps; i++) {
            optimizer.zero_grad();
            Tensor x = Tensors.randn(20, 12);
            model.call(x).sub(x.narrow(1, 0, 4)).square().mean().backward();
            optimizer.step();
        }
    }

    @Test
    @DisplayName("training moves the values, and neither their number nor the zeros")
    void training() {
        var model = network();
        Prune.globalUnstructured(Target.weights(model), L1Unstructured::new, 0.7);
        WeightSharing.shareAll(model, 2);
        float[] before = weight(model.get(0));
        train(model, Optimizers.adam(model.parameters(), 0.01), 30);
        float[] after = weight(model.get(0));
        assertEquals(4, different(before));
        assertEquals(4, different(after));
        assertFalse(Arrays.equals(before, after));
        for (int i = 0; i < after.length; i++) {
            assertEquals(before[i] == 0, after[i] == 0);
        }
        assertEquals(0.7, Sparsity.of(model).only("weight").sparsity(), 0.01);
    }

    @Test
    @DisplayName("an optimizer that knew single weights goes on, and values stay shared")
    void earlierOptimizer() {
        var model = network();
        Optimizer adam = Optimizers.adam(model.parameters(), 0.01);
        train(model, adam, 10);
        WeightSharing.shareAll(model, 3);
        train(model, adam, 10);
        assertEquals(8, different(weight(model.get(0))));
    }

    @Test
    @DisplayName("zeros that no mask keeps stay too, and bits above what there is change nothing")
    void withoutMask() {
        var layer = new Linear(8, 8);
        Prune.l1Unstructured(layer, "weight", 0.6);
        Prune.remove(layer, "weight");
        float[] before = weight(layer);
        WeightSharing.share(layer, "weight", 8);
        assertTrue(Tensors.equal(Tensors.of(before, 8, 8), layer.value("weight")));
        layer.call(Tensors.randn(4, 8)).square().sum().backward();
        float[] gradient = Tensors.floats(layer.parameter("weight").grad());
        for (int i = 0; i < before.length; i++) {
            assertEquals(before[i] == 0, gradient[i] == 0);
        }
    }

    @Test
    @DisplayName("removing leaves the values in the weight, which is then trained freely")
    void removing() {
        var layer = new Linear(12, 16);
        WeightSharing.share(layer, "weight", 2);
        float[] shared = weight(layer);
        WeightSharing.remove(layer, "weight");
        assertFalse(WeightSharing.isShared(layer, "weight"));
        assertFalse(layer.hasBuffer("weight_codes"));
        assertArrayEquals(shared, weight(layer));
        var model = new Sequential(layer, new ReLU(), new Linear(16, 4));
        train(model, Optimizers.sgd(model.parameters(), 0.1), 3);
        assertTrue(different(weight(layer)) > 4);
        assertTrue(messageOf(() -> WeightSharing.remove(layer, "weight")).contains("shares no"));
    }

    @Test
    @DisplayName("a state that shares is loaded into a plain, a masked and a shared model alike")
    void state() {
        var model = network();
        Prune.l1Unstructured(model.get(0), "weight", 0.5);
        WeightSharing.shareAll(model, 3);
        train(model, Optimizers.adam(model.parameters(), 0.01), 5);
        Path file = folder.resolve("shared.safetensors");
        model.save(file);
        List<Supplier<Sequential>> receivers =
                List.of(
                        WeightSharingTest::network,
                        () -> {
                            var masked = network();
                            Prune.identity(masked.get(0), "weight");
                            return masked;
                        },
                        () -> {
                            var shared = network();
                            Prune.identity(shared.get(0), "weight");
                            WeightSharing.shareAll(shared, 2);
                            return shared;
                        });
        for (var receiver : receivers) {
            Sequential again = receiver.get();
            again.load(file);
            assertSameTensors(model.stateDict(), again.stateDict());
            assertTrue(WeightSharing.isShared(again.get(0), "weight"));
            train(again, Optimizers.adam(again.parameters(), 0.01), 3);
            assertEquals(8, different(weight(again.get(2))));
        }
    }

    @Test
    @DisplayName("pruning a shared weight further keeps what is left shared")
    void prunedAfterwards() {
        var layer = new Linear(12, 16);
        WeightSharing.share(layer, "weight", 2);
        Prune.l1Unstructured(layer, "weight", 0.5);
        var model = new Sequential(layer, new ReLU(), new Linear(16, 4));
        train(model, Optimizers.sgd(model.parameters(), 0.1), 3);
        assertTrue(different(weight(layer)) <= 4);
        assertEquals(0.5, Sparsity.of(layer).only("weight").sparsity(), 0.01);
    }

    @Test
    @DisplayName("what can't be shared is refused and as it was")
    void refused() {
        var layer = new Linear(3, 3);
        assertTrue(messageOf(() -> WeightSharing.share(layer, "weight", 9)).contains("1 to 8"));
        assertTrue(
                messageOf(() -> WeightSharing.share(layer, "w", 4)).contains("No parameter 'w'"));
        layer.parameter("weight").detach().fill_(new Scalar(Double.NaN));
        assertTrue(messageOf(() -> WeightSharing.share(layer, "weight", 4)).contains("NaN"));
        assertNotEquals(true, layer.hasBuffer("weight_codes"));
        var moving = new Linear(3, 3);
        DynamicPruning.magnitude(Target.weights(moving), Schedule.cubic(0, 0.5, 3));
        assertTrue(messageOf(() -> WeightSharing.share(moving, "weight", 4)).contains("freeze"));
        var shared = new Linear(3, 3);
        WeightSharing.share(shared, "weight", 4);
        assertTrue(messageOf(() -> WeightSharing.share(shared, "weight", 4)).contains("already"));
        assertTrue(messageOf(() -> WeightSharing.shareAll(new ReLU(), 4)).contains("no weights"));
        assertEquals(
                "All 1 weights share their values already; remove that first.",
                messageOf(() -> WeightSharing.shareAll(shared, 4)));
    }
}
