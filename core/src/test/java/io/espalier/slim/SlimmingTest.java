package io.espalier.slim;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.BatchNorm2d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Functional;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.prune.Importance;
import io.espalier.prune.Prune;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;
import io.espalier.train.Optimizers;

import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Optimizer;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.IntStream;

/** What a user of {@link Slimming} meets. */
class SlimmingTest {
    private static Sequential neurons() {
        Libtorch.seed(1);
        var model = new Sequential(new Linear(6, 16), new ReLU(), new Linear(16, 4));
        model.eval();
        return model;
    }

    private static Map<String, float[]> state(Module model) {
        var state = new TreeMap<String, float[]>();
        model.stateDict().forEach((name, tensor) -> state.put(name, Tensors.floats(tensor)));
        return state;
    }

    @Test
    @DisplayName("layers and parameters stay the objects that they are, and know their sizes")
    void inPlace() {
        Sequential model = neurons();
        var first = (Linear) model.module("0");
        Tensor weight = first.weight();

        SlimResult result = Slimming.of(model, Tensors.randn(3, 6)).ratio(0.25).run();

        assertEquals(4, first.outFeatures());
        assertArrayEquals(new long[] {4, 6}, Tensors.shape(weight));
        assertTrue(first.weight().is_same(weight));
        assertEquals(model, result.model());
        assertEquals(6 * 16 + 16 + 16 * 4 + 4, result.before().parameters());
        assertEquals(6 * 4 + 4 + 4 * 4 + 4, result.after().parameters());
        assertEquals(3 * (6 * 4 + 4 * 4), result.after().macs());
        assertTrue(result.toString().contains("0.weight[0]"), result::toString);
        assertTrue(model.toString().contains("in_features=6, out_features=4"), model::toString);
    }

    @Test
    @DisplayName("those of the smallest weights go by magnitude")
    void magnitude() {
        Sequential model = neurons();
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
            Sequential model = neurons();
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

        assertTrue(errors.getOrDefault("second order", 9.0) < 0.01, errors::toString);
        assertTrue(errors.getOrDefault("activations", 0.0) > 0.05, errors::toString);
        assertEquals(
                "There is no batch to calibrate with; give at least one.",
                assertThrows(
                                EspalierException.class,
                                () ->
                                        Slimming.of(doubled(), x)
                                                .importance(
                                                        ChannelImportance.secondOrder(List.of()))
                                                .run())
                        .getMessage());
    }

    @Test
    @DisplayName("a calibration that fails leaves the model as it was")
    void failedCalibration() {
        Libtorch.seed(1);
        var model =
                new Sequential(new Linear(4, 8), new ReLU(), new Linear(8, 8), new Linear(8, 2));
        Tensor x = Tensors.randn(16, 4);
        Map<String, float[]> before = state(model);
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

        Map<String, float[]> after = state(model);
        before.forEach((name, values) -> assertArrayEquals(values, after.get(name), name));
        assertEquals(List.of("weighing layers", "weighing layers"), stages.subList(0, 2));
    }

    @Test
    @DisplayName("an importance of one's own sees what the model computes with")
    void ownImportance() {
        Sequential model = neurons();
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

    @Test
    @DisplayName("masks go with their weights, and the mask of what is left is as it was")
    void masks() {
        Sequential model = neurons();
        Prune.l1Unstructured(model.module("0"), "weight", 0.5);
        Tensor x = Tensors.randn(3, 6);

        Slimming.of(model, x).ratio(0.5).run();

        Module first = model.module("0");
        assertArrayEquals(new long[] {8, 6}, Tensors.shape(first.buffer("weight_mask")));
        assertArrayEquals(new long[] {8, 6}, Tensors.shape(first.parameter("weight_orig")));
        assertArrayEquals(
                Tensors.floats(first.parameter("weight_orig").mul(first.buffer("weight_mask"))),
                Tensors.floats(first.value("weight")));
    }

    private static void step(Module model, Optimizer optimizer, double gradient) {
        model.namedParameters()
                .values()
                .forEach(parameter -> {
                    var wanted = Tensors.ones(Tensors.shape(parameter)).mul(new Scalar(gradient));
                    parameter.mutable_grad().put(wanted.mul(parameter.detach()));
                });
        optimizer.step();
    }

    @ParameterizedTest
    @ValueSource(strings = {"sgd", "adam"})
    @DisplayName("an optimizer goes on with what it remembers of what is left")
    void optimizers(String kind) {
        var weights = new ArrayList<Tensor>();
        for (boolean slim : new boolean[] {false, true}) {
            Sequential model = neurons();
            Optimizer optimizer =
                    kind.equals("sgd")
                            ? Optimizers.sgd(model.parameters(), 0.1, 0.9)
                            : Optimizers.adam(model.parameters(), 0.1);
            step(model, optimizer, 1);
            ChannelImportance byPlace =
                    ChannelImportance.of((group, values) ->
                            IntStream.range(0, 16).mapToDouble(i -> i).toArray());
            if (slim) {
                Slimming.of(model, Tensors.randn(3, 6))
                        .importance(byPlace)
                        .optimizer(optimizer)
                        .run();
            }
            step(model, optimizer, 0);
            weights.add(((Linear) model.module("0")).weight());
        }

        assertArrayEquals(
                Tensors.floats(weights.getFirst().narrow(0, 8, 8)),
                Tensors.floats(weights.getLast()));
    }

    @Test
    @DisplayName("a state is loaded into another model of the same widths")
    void states() {
        Sequential one = neurons();
        Sequential other = neurons();
        Tensor x = Tensors.randn(3, 6);
        Slimming.of(one, x).ratio(0.5).run();
        Slimming.of(other, x).ratio(0.5).importance(ChannelImportance.random(3)).run();

        other.loadStateDict(one.stateDict());

        assertArrayEquals(Tensors.floats(one.call(x)), Tensors.floats(other.call(x)));
    }

    @Test
    @DisplayName("only what is named goes, and what is to be kept stays")
    void names() {
        Libtorch.seed(1);
        var model =
                new Sequential(
                        new Linear(4, 8), new Linear(8, 8), new Linear(8, 8), new Linear(8, 2));
        model.eval();
        Slimming slimming = Slimming.of(model, Tensors.randn(2, 4)).ratio(0.5);

        slimming.only("0", "1").keep("2.weight").run();

        assertArrayEquals(new long[] {4, 4}, Tensors.shape(((Linear) model.module("0")).weight()));
        assertArrayEquals(new long[] {8, 4}, Tensors.shape(((Linear) model.module("1")).weight()));
        assertArrayEquals(new long[] {8, 8}, Tensors.shape(((Linear) model.module("2")).weight()));
        assertEquals(
                "'0.weight' has changed since the model was looked into; call Slimming.of again.",
                assertThrows(EspalierException.class, slimming::run).getMessage());
        assertEquals(
                "Nothing that can be removed is named '3'; the groups tell what can.",
                assertThrows(EspalierException.class, () -> slimming.only("3")).getMessage());
        assertEquals(
                "No layer or tensor is named 'conv*'.",
                assertThrows(EspalierException.class, () -> slimming.keep("conv*")).getMessage());
        assertThrows(EspalierException.class, () -> slimming.ratio(0));
    }

    /** A convolution whose places are counted by a written number. */
    private static final class Written extends Module {
        final Conv2d conv1 = add("conv1", new Conv2d(1, 8, 3));
        final Conv2d conv2 = add("conv2", new Conv2d(8, 20, 3));
        final Linear fc = add("fc", new Linear(320, 10));

        @Override
        protected Tensor forward(Tensor x) {
            Tensor y = conv2.call(Functional.relu(conv1.call(x)));
            return fc.call(Functional.reshape(y, -1, 320));
        }
    }

    @Test
    @DisplayName("what a model's code counts by a written number stays, with that reason")
    void writtenNumbers() {
        var model = new Written();
        model.eval();
        Slimming slimming = Slimming.of(model, Tensors.randn(2, 1, 8, 8));

        slimming.run();

        assertEquals(20, model.conv2.outChannels());
        assertEquals(4, model.conv1.outChannels());
        assertTrue(
                slimming.groups()
                        .toString()
                        .contains("stays, since the code gives 'reshape' the number 320: conv2"),
                () -> slimming.groups().toString());
    }

    /** A layer that counts on the width of another, where nobody sees it. */
    private static final class Suspicious extends Module {
        final Linear one = add("one", new Linear(4, 8));
        final Linear two = add("two", new Linear(8, 2));

        @Override
        protected Tensor forward(Tensor x) {
            Tensor y = one.call(x);
            return two.call(one.outFeatures() == 8 ? y : Functional.relu(y));
        }
    }

    @Test
    @DisplayName("a model whose code does something else without the channels is as it was")
    void wholeOrNot() {
        var model = new Suspicious();
        model.train();
        Map<String, float[]> before = state(model);
        Slimming slimming = Slimming.of(model, Tensors.randn(2, 4));

        var refusal = assertThrows(EspalierException.class, slimming::run);

        assertEquals(
                "Nothing was removed from Suspicious, since without the channels it computes in"
                        + " other steps then.",
                refusal.getMessage());
        Map<String, float[]> after = state(model);
        before.forEach((name, values) -> assertArrayEquals(values, after.get(name), name));
        assertEquals(8, model.one.outFeatures());
        assertTrue(model.isTraining() && model.one.isTraining());
    }

    /** A model that calls libtorch beside the library. */
    private static final class Untraceable extends Module {
        final Linear one = add("one", new Linear(4, 8));

        @Override
        protected Tensor forward(Tensor x) {
            return one.call(x.mul(new Scalar(2)));
        }
    }

    @Test
    @DisplayName("a model that can't be traced is refused with the line")
    void untraceable() {
        var refusal =
                assertThrows(
                        EspalierException.class,
                        () -> Slimming.of(new Untraceable(), Tensors.randn(2, 4)));

        assertTrue(
                String.valueOf(refusal.getMessage()).startsWith("Can't trace Untraceable: ")
                        && String.valueOf(refusal.getMessage()).contains("SlimmingTest.java:"),
                refusal::getMessage);
    }

    @Test
    @DisplayName("a table whose weight is the last layer's too loses elements of both")
    void tied() {
        Libtorch.seed(1);
        var model = new Networks.Tied();
        model.eval();
        Tensor tokens = Tensors.of(new long[] {1, 5, 7, 0}, 2, 2);

        Slimming.of(model, tokens).ratio(0.5).run();

        assertEquals(6, model.table.embeddingDim());
        assertEquals(6, model.last.inFeatures());
        assertTrue(model.table.weight().is_same(model.last.weight()));
        assertArrayEquals(new long[] {2, 2, 11}, Tensors.shape(model.call(tokens)));
        assertFalse(model.isTraining());
    }
}
