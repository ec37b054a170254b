package io.espalier.slim;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.Functional;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.Sequential;
import io.espalier.nn.Softmax;
import io.espalier.prune.Importance;
import io.espalier.prune.Prune;
import io.espalier.prune.Target;
import io.espalier.quant.QConfig;
import io.espalier.quant.Quantization;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.stream.Stream;

/** What {@link Slimming#run} doesn't do, and that the model is then as it was. */
class RefusedSlimmingTest {
    private static String refusal(Slimming slimming, Module model) {
        Map<String, float[]> before = SlimmingTest.state(model);
        var refused = assertThrows(EspalierException.class, slimming::run);
        Map<String, float[]> after = SlimmingTest.state(model);
        assertEquals(before.keySet(), after.keySet());
        before.forEach((name, values) -> assertArrayEquals(values, after.get(name), name));
        return String.valueOf(refused.getMessage());
    }

    /** Neurons, doubled or not. */
    private static final class Switched extends Module {
        final Linear one = add("one", new Linear(6, 8));
        final Linear two = add("two", new Linear(8, 4));
        boolean doubles;

        @Override
        protected Tensor forward(Tensor x) {
            Tensor y = one.call(x);
            return two.call(doubles ? Functional.add(y, y) : y);
        }
    }

    @Test
    @DisplayName("a model that another thread slims meanwhile is whole, and refused")
    void twoThreads() {
        for (int i = 0; i < 10; i++) {
            Sequential model = SlimmingTest.neurons();
            Tensor x = Tensors.randn(3, 6);
            List<Slimming> both = List.of(Slimming.of(model, x), Slimming.of(model, x));

            List<String> refused =
                    both.parallelStream().flatMap(slimming -> refused(slimming)).toList();

            assertEquals(1, refused.size(), refused::toString);
            assertTrue(refused.getFirst().contains("changed since"), refused::toString);
            model.call(x);
        }
    }

    private static Stream<String> refused(Slimming slimming) {
        try {
            slimming.run();
            return Stream.of();
        } catch (EspalierException e) {
            return Stream.of(String.valueOf(e.getMessage()));
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"replaced", "pruned", "pruned again", "prepared", "hooked"})
    @DisplayName("a model that has changed since it was looked into is refused")
    void changed(String how) {
        Sequential model = SlimmingTest.neurons();
        if (how.equals("pruned again")) {
            Prune.l1Unstructured(model.module("0"), "weight", 0.5);
        }
        Slimming slimming = Slimming.of(model, Tensors.randn(3, 6));
        switch (how) {
            case "replaced" -> model.replace("1", new Softmax(1));
            case "prepared" -> {
                model.qconfig(QConfig.forBackend("x86"));
                Quantization.prepare(model);
            }
            case "hooked" -> model.module("1").onOutput((module, tensors) -> tensors);
            default -> Prune.l1Unstructured(model.module("0"), "weight", 0.5);
        }

        assertEquals(
                "The model has changed since Slimming.of; call it again.",
                refusal(slimming, model));
    }

    @Test
    @DisplayName("a model whose code goes another way now is refused, until it is as it was")
    void anotherWay() {
        Libtorch.seed(1);
        var model = new Switched();
        Slimming slimming = Slimming.of(model, Tensors.randn(3, 6));
        model.doubles = true;

        assertEquals(
                "The model has changed since Slimming.of; call it again.",
                refusal(slimming, model));

        model.doubles = false;
        model.eval();
        model.parameters().getFirst().requires_grad_(false);
        slimming.run();
        assertEquals(4, model.one.outFeatures());
    }

    @Test
    @DisplayName("scores of entries have the shape of what they are for")
    void scores() {
        Importance square =
                targets -> {
                    SequencedMap<Target, Tensor> scores = new LinkedHashMap<>();
                    targets.forEach(target -> scores.put(target, Tensors.ones(3, 3)));
                    return scores;
                };
        Sequential model = SlimmingTest.neurons();
        Slimming slimming = Slimming.of(model, Tensors.randn(3, 6)).importance(square);

        assertEquals(
                "The importance scores for '0.weight' have shape [3, 3]; give one score for each"
                        + " entry.",
                refusal(slimming, model));
    }

    @Test
    @DisplayName("where all is to be kept, or a target finds no channels, it is said")
    void nothingToTake() {
        Sequential model = SlimmingTest.neurons();
        Tensor x = Tensors.randn(3, 6);
        assertEquals(
                "No layer is left to take channels from; name others to take from, or fewer to"
                        + " keep.",
                refusal(Slimming.of(model, x).keep("*"), model));

        var single = new Sequential(new Linear(6, 4));
        Slimming slimming = Slimming.of(single, x);
        String refused = refusal(slimming.macs(0.5), single);
        assertEquals(
                "The model has no channels that can go: those of 0.weight[0] stay, since",
                refused.substring(0, refused.indexOf(" '")));
        assertEquals(slimming.run().before(), slimming.run().after());
    }

    /** Counts its calls. */
    private static final class Counting extends Module {
        private final Linear one = add("one", new Linear(6, 8));

        Counting() {
            addBuffer("calls", Tensors.of(0f));
        }

        @Override
        public boolean isAtomic() {
            return true;
        }

        @Override
        protected Tensor forward(Tensor x) {
            buffer("calls").add_(new Scalar(1));
            return one.call(x);
        }
    }

    @Test
    @DisplayName("a layer that counts its calls has counted none of those of slimming")
    void counters() {
        Libtorch.seed(1);
        var counting = new Counting();
        var model = new Sequential(counting, new Linear(8, 8), new Linear(8, 4));
        Tensor x = Tensors.randn(3, 6);

        Slimming.of(model, x).macs(0.8).run();
        Slimming.removePruned(model, x);

        assertEquals(0, Tensors.floats(counting.buffer("calls"))[0]);
    }
}
