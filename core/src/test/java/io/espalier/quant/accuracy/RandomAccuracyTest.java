package io.espalier.quant.accuracy;

import static io.espalier.Errors.messageOf;
import static io.espalier.TrainedModels.trained;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.Conv2d;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.quant.QConfig;
import io.espalier.quant.Quantization;
import io.espalier.quant.fusion.RandomNetwork;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.IntConsumer;

/** Networks of layers, branches, subclasses, hooks and layers that are called twice. */
@DisplayName("On random networks")
class RandomAccuracyTest {
    private static final int NETWORKS = 20;

    private static void onEach(IntConsumer test) {
        for (int seed = 0; seed < NETWORKS; seed++) {
            Libtorch.seed(seed);
            try (var scope = new PointerScope()) {
                test.accept(seed);
            }
        }
    }

    private static Tensor data() {
        return Tensors.randn(4, 4, 6, 6);
    }

    private static RandomNetwork network(int seed) {
        RandomNetwork network = trained(new RandomNetwork(seed, true), data());
        network.qconfig(QConfig.forBackend("x86"));
        return network;
    }

    private static boolean isLayer(Module module) {
        return module.getClass() == Conv2d.class || module.getClass() == Linear.class;
    }

    private static Map<String, Tensor> weightsOfOthers(Module model) {
        Map<String, Tensor> weights = new LinkedHashMap<>();
        model.namedModules()
                .forEach((path, module) -> {
                    if (!isLayer(module)) {
                        module.ownParameters()
                                .forEach((name, tensor) ->
                                        weights.put(path + "." + name, tensor.detach().clone()));
                    }
                });
        return weights;
    }

    @Test
    @DisplayName("AdaRound rounds layers no worse than to nearest, and nothing that is none")
    void adaRound() {
        onEach(seed -> {
            RandomNetwork network = network(seed);
            Map<String, Tensor> others = weightsOfOthers(network);
            Tensor x = data();
            Tensor before = network.call(x);

            AdaRound rounded =
                    AdaRound.apply(network, List.of(x), o -> o.iterations(15).samples(64));

            for (AdaRound.Layer layer : rounded.layers()) {
                assertTrue(isLayer(network.module(layer.path())), layer.path());
                assertTrue(layer.learned() <= layer.nearest(), layer.toString());
            }
            weightsOfOthers(network)
                    .forEach((name, tensor) ->
                            assertTrue(Tensors.equal(others.getOrDefault(name, x), tensor), name));
            float off = network.call(x).log().sub(before.log()).abs().max().item_float();
            float logits = 1 + before.log().abs().max().item_float();
            assertTrue(off > 0 && off < 0.05 * logits, "network " + seed + ": " + off);
        });
    }

    /** The distance of the mean outputs. */
    private static float shift(Module expected, Module actual, Tensor x) {
        return expected.call(x).sub(actual.call(x)).mean(new long[] {0}).norm().item_float();
    }

    @Test
    @DisplayName("corrected biases bring the mean output nearer, over all networks")
    void biasCorrection() {
        double[] shifts = new double[2];
        onEach(seed -> {
            RandomNetwork network = network(seed);
            Tensor x = Tensors.randn(32, 4, 6, 6);
            Module converted = network.copy();
            converted.qconfig(QConfig.forBackend("qnnpack"));
            Quantization.prepare(converted);
            converted.call(x);
            Quantization.convert(converted, Set.of(""));
            try (var noGrad = new NoGradGuard()) {
                float before = shift(network, converted, x);
                BiasCorrection.apply(network, converted, List.of(x));
                shifts[0] += before;
                shifts[1] += shift(network, converted, x);
            }
        });
        assertTrue(shifts[1] < shifts[0], shifts[0] + " became " + shifts[1]);
    }

    @Test
    @DisplayName("SmoothQuant leaves what is computed, or refuses and leaves the model")
    void smoothQuant() {
        int[] smoothed = new int[1];
        onEach(seed -> {
            RandomNetwork original = network(seed);
            Tensor x = data();
            Tensor before = original.call(x);
            for (String one : original.layers()) {
                for (String other : original.layers()) {
                    RandomNetwork network = original.copy();
                    List<SmoothQuant.Group> groups = List.of(SmoothQuant.Group.after(one, other));
                    try {
                        SmoothQuant.apply(network, groups, List.of(x));
                        smoothed[0]++;
                    } catch (EspalierException refused) {
                        assertEquals(
                                1,
                                messageOf(
                                                () -> {
                                                    throw refused;
                                                })
                                        .lines()
                                        .count());
                        assertTrue(Tensors.equal(before, network.call(x)));
                        continue;
                    }
                    float logits = 1 + before.log().abs().max().item_float();
                    Tensor other2 = data();
                    float off =
                            network.call(other2)
                                    .log()
                                    .sub(original.call(other2).log())
                                    .abs()
                                    .max()
                                    .item_float();
                    assertTrue(
                            off < 1e-4 * logits,
                            "network " + seed + ", " + one + " and " + other + ": " + off);
                }
            }
        });
        assertTrue(smoothed[0] > NETWORKS / 4, "smoothed " + smoothed[0]);
    }
}
