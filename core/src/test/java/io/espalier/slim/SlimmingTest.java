package io.espalier.slim;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.Conv2d;
import io.espalier.nn.Functional;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.prune.Prune;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;
import io.espalier.train.Optimizers;

import org.bytedeco.pytorch.Optimizer;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.util.ArrayList;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.IntStream;

/** What a user of {@link Slimming} meets. */
class SlimmingTest {
    static Sequential neurons() {
        Libtorch.seed(1);
        var model = new Sequential(new Linear(6, 16), new ReLU(), new Linear(16, 4));
        model.eval();
        return model;
    }

    static Map<String, float[]> state(Module model) {
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

    @Test
    @DisplayName("an optimizer that holds nothing of the model is refused, one that holds some not")
    void anothersOptimizer() {
        Sequential model = neurons();
        Optimizer some = Optimizers.sgd(model.module("2").parameters(), 0.1);
        Optimizer others = Optimizers.sgd(model.copy().parameters(), 0.1);
        Slimming slimming = Slimming.of(model, Tensors.randn(3, 6)).optimizer(some);

        String refused =
                String.valueOf(
                        assertThrows(EspalierException.class, () -> slimming.optimizer(others))
                                .getMessage());

        assertTrue(
                refused.startsWith("The optimizer holds none of this Sequential's parameters"),
                refused);
        assertEquals(16, ((Linear) model.module("0")).outFeatures());
        slimming.run();
        assertEquals(8, ((Linear) model.module("0")).outFeatures());
    }
}
