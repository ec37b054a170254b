package io.espalier.slim;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.BatchNorm2d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.prune.Importance;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** By what channels of Java models are chosen. */
class ChannelImportanceTest {
    @Test
    @DisplayName("those of the smallest weights go by magnitude")
    void magnitude() {
        Sequential model = SlimmingTest.neurons();
        Tensor weight = ((Linear) model.module("0")).weight();
        try (var noGrad = new NoGradGuard()) {
            for (int row : new int[] {2, 3, 5, 7, 11, 12, 13, 14}) {
                weight.select(0, row).mul_(new Scalar(0.01));
                ((Linear) model.module("2")).weight().select(1, row).mul_(new Scalar(0.01));
            }
        }
        float[] kept = Tensors.floats(weight.select(0, 4));

        Slimming.of(model, Tensors.randn(3, 6)).ratio(0.5).run();

        assertArrayEquals(kept, Tensors.floats(weight.select(0, 2)));
    }

    @Test
    @DisplayName("chance is the same for the same seed, and scores of entries are summed")
    void otherImportances() {
        var weights = new HashMap<String, float[]>();
        for (String name : new String[] {"a", "a again", "b", "entries"}) {
            Sequential model = SlimmingTest.neurons();
            Slimming slimming = Slimming.of(model, Tensors.randn(3, 6)).ratio(0.5);
            switch (name) {
                case "b" -> slimming.importance(ChannelImportance.random(8)).run();
                case "entries" -> slimming.importance(Importance.magnitude()).run();
                default -> slimming.importance(ChannelImportance.random(7)).run();
            }
            weights.put(name, Tensors.floats(((Linear) model.module("0")).weight()));
        }

        assertArrayEquals(weights.get("a"), weights.get("a again"));
        assertFalse(Arrays.equals(weights.get("a"), weights.get("b")));
        assertEquals(48, weights.getOrDefault("entries", new float[0]).length);
    }

    @Test
    @DisplayName("channels of the smallest scales go, whatever their weights")
    void scales() {
        Libtorch.seed(2);
        var norm = new BatchNorm2d(4);
        var model = new Sequential(new Conv2d(1, 4, 1), norm, new Conv2d(4, 2, 1));
        model.eval();
        try (var noGrad = new NoGradGuard()) {
            norm.value("weight").copy_(Tensors.of(0.5f, -3f, 0.1f, 2f));
        }

        SlimResult result =
                Slimming.of(model, Tensors.randn(1, 1, 4, 4))
                        .importance(ChannelImportance.batchNormScale())
                        .run();

        assertArrayEquals(new float[] {-3, 2}, Tensors.floats(norm.value("weight")));
        assertEquals(2, norm.numFeatures());
        assertEquals("batch-norm scale", result.rows().getFirst().by());
    }

    /** Eight neurons, of which the last four compute what the first four do. */
    private static Sequential doubled() {
        Libtorch.seed(5);
        var model = new Sequential(new Linear(6, 8), new ReLU(), new Linear(8, 4));
        model.eval();
        try (var noGrad = new NoGradGuard()) {
            for (String name : new String[] {"weight", "bias"}) {
                Tensor value = model.module("0").value(name);
                value.narrow(0, 4, 4).copy_(value.narrow(0, 0, 4));
            }
        }
        return model;
    }

    @Test
    @DisplayName(
            "by second order what stays makes up for what goes, and by activity what gives little"
                    + " goes")
    void onData() {
        Tensor x = Tensors.randn(256, 6);
        var errors = new HashMap<String, Double>();
        for (String name : new String[] {"second order", "activations", "magnitude"}) {
            Sequential model = doubled();
            Tensor before = model.call(x);
            ChannelImportance importance =
                    switch (name) {
                        case "second order" -> ChannelImportance.secondOrder(List.of(x));
                        case "activations" -> ChannelImportance.activation(List.of(x));
                        default -> ChannelImportance.magnitude();
                    };
            SlimResult result = Slimming.of(model, x).ratio(0.5).importance(importance).run();
            assertEquals(name, result.rows().getFirst().by());
            Tensor apart = before.sub(model.call(x));
            errors.put(name, apart.norm().item_double() / before.norm().item_double());
        }

        assertTrue(errors.getOrDefault("second order", 9.0) < 0.03, errors::toString);
        assertTrue(errors.getOrDefault("activations", 0.0) > 0.05, errors::toString);
    }

    private static String refusal(ChannelImportance importance) {
        Slimming slimming = Slimming.of(doubled(), Tensors.randn(3, 6)).importance(importance);
        return String.valueOf(assertThrows(EspalierException.class, slimming::run).getMessage());
    }

    @Test
    @SuppressWarnings("NullAway") // what users do
    @DisplayName("batches of nothing, and scores of what there is not, are one sentence each")
    void refuses() {
        assertEquals(
                "There is no batch to calibrate with; give at least one.",
                refusal(ChannelImportance.secondOrder(List.of())));
        for (List<Tensor> some :
                List.of(
                        List.of(Tensors.randn(4, 6), Tensors.zeros(0, 6)),
                        List.of(Tensors.randn(4, 6), Tensors.zeros(0, 6), Tensors.randn(4, 6)))) {
            assertEquals(
                    "Batch 2 to calibrate with has no examples: its shape is [0, 6].",
                    refusal(ChannelImportance.secondOrder(some)));
            assertEquals(
                    "Batch 2 to calibrate with has no examples: its shape is [0, 6].",
                    refusal(ChannelImportance.activation(some)));
        }
        assertEquals(
                "A function gave null for the iterator of the batches to calibrate with; it has to"
                        + " return it.",
                refusal(ChannelImportance.activation(() -> null)));
        assertEquals(
                "The model has no parameter or buffer 'nope'; it has: 0.weight, 0.bias, 2.weight,"
                        + " 2.bias.",
                refusal(
                        ChannelImportance.of(
                                (group, values) -> new double[] {values.apply("nope").dim()})));
    }

    /** Passes on what it is given, and counts. */
    private static final class Counting extends Module {
        private int calls;

        @Override
        protected Tensor forward(Tensor x) {
            calls++;
            return x;
        }
    }

    @Test
    @DisplayName("batches go no further through a model than the layers that are weighed")
    void stopsEarly() {
        var calls = new ArrayList<Integer>();
        for (int batches : new int[] {1, 6}) {
            var end = new Counting();
            var model =
                    new Sequential(
                            new Linear(4, 8),
                            new ReLU(),
                            new Linear(8, 8),
                            new ReLU(),
                            new Linear(8, 2),
                            end);
            model.eval();
            Tensor x = Tensors.randn(16, 4);
            Slimming.of(model, x)
                    .importance(ChannelImportance.secondOrder(Collections.nCopies(batches, x)))
                    .run();
            calls.add(end.calls);
        }

        assertEquals(calls.getFirst(), calls.getLast());
    }

    @Test
    @DisplayName("a calibration that fails leaves the model as it was")
    void failedCalibration() {
        Libtorch.seed(1);
        var model =
                new Sequential(new Linear(4, 8), new ReLU(), new Linear(8, 8), new Linear(8, 2));
        Tensor x = Tensors.randn(16, 4);
        Map<String, float[]> before = SlimmingTest.state(model);
        var stages = new ArrayList<String>();
        Slimming slimming =
                Slimming.of(model, x)
                        .importance(ChannelImportance.secondOrder(List.of(x)))
                        .progress((stage, done, total) -> {
                            stages.add(stage);
                            if (stage.equals("removing")) {
                                throw new IllegalStateException("stopped");
                            }
                        });

        assertThrows(IllegalStateException.class, slimming::run);

        Map<String, float[]> after = SlimmingTest.state(model);
        before.forEach((name, values) -> assertArrayEquals(values, after.get(name), name));
        assertEquals(List.of("weighing layers", "weighing layers"), stages.subList(0, 2));
    }

    @Test
    @DisplayName("an importance of one's own sees what the model computes with")
    void ownImportance() {
        Sequential model = SlimmingTest.neurons();
        Tensor bias = model.module("0").value("bias");
        try (var noGrad = new NoGradGuard()) {
            bias.copy_(Tensors.of(1, 9, 2, 8, 3, 7, 4, 6, 1, 1, 1, 1, 1, 1, 1, 1));
        }
        ChannelImportance byBias =
                ChannelImportance.of((group, values) -> {
                    float[] numbers = Tensors.floats(values.apply("0.bias"));
                    return group.units().stream()
                            .mapToDouble(unit -> numbers[unit.slices().firstEntry().getValue()[0]])
                            .toArray();
                });

        Slimming.of(model, Tensors.randn(3, 6)).ratio(0.25).importance(byBias).run();

        assertArrayEquals(new float[] {9, 8, 7, 6}, Tensors.floats(bias));
        ChannelImportance tooFew = ChannelImportance.of((group, values) -> new double[1]);
        Slimming wrong = Slimming.of(model, Tensors.randn(3, 6)).importance(tooFew);
        assertEquals(
                "Group 0.weight[0] has 4 units and got 1 scores; give one for each.",
                assertThrows(EspalierException.class, wrong::run).getMessage());
    }

    @ParameterizedTest
    @ValueSource(doubles = {Double.NaN, Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY})
    @DisplayName("scores that are no numbers leave the model as it was")
    void notFinite(double score) {
        Sequential model = SlimmingTest.neurons();
        Map<String, float[]> before = SlimmingTest.state(model);
        Tensor x = Tensors.randn(20, 6);
        ChannelImportance scores =
                ChannelImportance.of((group, values) -> {
                    var each = new double[group.units().size()];
                    each[2] = score;
                    return each;
                });
        Slimming wrong = Slimming.of(model, x).importance(scores);

        assertEquals(
                "Unit 2 of group 0.weight[0] got the score %s; scores are finite numbers, and so must be the weights that they come from."
                        .formatted(score),
                assertThrows(EspalierException.class, wrong::run).getMessage());
        SlimmingTest.state(model)
                .forEach((name, values) -> assertArrayEquals(before.get(name), values, name));
    }
}
