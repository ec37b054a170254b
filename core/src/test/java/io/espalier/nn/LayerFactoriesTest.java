package io.espalier.nn;

import static io.espalier.Errors.messageOf;
import static io.espalier.TensorAssertions.assertClose;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;

class LayerFactoriesTest {
    private static Convolution.Options geometry(Convolution.Options plain) {
        return plain.stride(2).padding(1).groups(2);
    }

    /** A layer, its example, and how it is made again of its tensors. */
    record Case(Module layer, Tensor example, UnaryOperator<Module> again) {
        @Override
        public String toString() {
            return layer.toString();
        }
    }

    private static Tensor p(Module layer, String name) {
        return layer.parameter(name);
    }

    private static @Nullable Tensor orNull(Module layer, String name) {
        return layer.hasParameter(name) ? layer.parameter(name) : null;
    }

    static Stream<Case> layers() {
        Libtorch.seed(1);
        Tensor series = Tensors.randn(2, 4, 7);
        Tensor picture = Tensors.randn(2, 4, 7, 7);
        Tensor volume = Tensors.randn(2, 4, 5, 5, 5);
        Tensor indices = Tensors.of(new long[] {0, 3, 1, 3}, 2, 2);
        return Stream.of(
                new Case(new Linear(7, 3), series, l -> Linear.of(p(l, "weight"), p(l, "bias"))),
                new Case(
                        new Linear(7, 3, o -> o.bias(false)),
                        series,
                        l -> Linear.of(p(l, "weight"), null)),
                new Case(
                        new Conv1d(4, 6, 3, LayerFactoriesTest::geometry),
                        series,
                        l -> Conv1d.of(p(l, "weight"), p(l, "bias"), LayerFactoriesTest::geometry)),
                new Case(
                        new Conv2d(4, 6, new long[] {3, 2}, o -> geometry(o).bias(false)),
                        picture,
                        l ->
                                Conv2d.of(
                                        p(l, "weight"),
                                        orNull(l, "bias"),
                                        LayerFactoriesTest::geometry)),
                new Case(
                        new Conv3d(4, 6, 3, LayerFactoriesTest::geometry),
                        volume,
                        l -> Conv3d.of(p(l, "weight"), p(l, "bias"), LayerFactoriesTest::geometry)),
                new Case(
                        new ConvTranspose1d(4, 6, 3, LayerFactoriesTest::geometry),
                        series,
                        l ->
                                ConvTranspose1d.of(
                                        p(l, "weight"),
                                        p(l, "bias"),
                                        LayerFactoriesTest::geometry)),
                new Case(
                        new ConvTranspose2d(4, 6, 3, LayerFactoriesTest::geometry),
                        picture,
                        l ->
                                ConvTranspose2d.of(
                                        p(l, "weight"),
                                        p(l, "bias"),
                                        LayerFactoriesTest::geometry)),
                new Case(
                        new ConvTranspose3d(4, 6, 3, LayerFactoriesTest::geometry),
                        volume,
                        l ->
                                ConvTranspose3d.of(
                                        p(l, "weight"),
                                        p(l, "bias"),
                                        LayerFactoriesTest::geometry)),
                new Case(
                        new BatchNorm1d(4, o -> o.eps(0.1)),
                        series,
                        l -> {
                            BatchNorm norm = (BatchNorm) l;
                            return BatchNorm1d.of(
                                    p(l, "weight"),
                                    p(l, "bias"),
                                    norm.buffer("running_mean"),
                                    norm.buffer("running_var"),
                                    o -> o.eps(0.1));
                        }),
                new Case(
                        new BatchNorm2d(4, o -> o.affine(false)),
                        picture,
                        l ->
                                BatchNorm2d.of(
                                        null,
                                        null,
                                        l.buffer("running_mean"),
                                        l.buffer("running_var"),
                                        o -> o)),
                new Case(
                        new BatchNorm3d(4, o -> o.trackRunningStats(false)),
                        volume,
                        l -> BatchNorm3d.of(p(l, "weight"), p(l, "bias"), null, null, o -> o)),
                new Case(
                        new LayerNorm(7, o -> o.eps(0.1)),
                        series,
                        l -> LayerNorm.of(p(l, "weight"), p(l, "bias"), o -> o.eps(0.1))),
                new Case(
                        new GroupNorm(2, 4, o -> o.eps(0.1)),
                        picture,
                        l -> GroupNorm.of(2, p(l, "weight"), p(l, "bias"), o -> o.eps(0.1))),
                new Case(new PReLU(4), picture, l -> PReLU.of(p(l, "weight"))),
                new Case(new Embedding(5, 3), indices, l -> Embedding.of(p(l, "weight"))),
                new Case(new Embedding(5, 3, -2), indices, l -> Embedding.of(p(l, "weight"), -2)),
                new Case(
                        new EmbeddingBag(5, 3, o -> o.mode(EmbeddingBag.Mode.MAX)),
                        indices,
                        l -> EmbeddingBag.of(p(l, "weight"), o -> o.mode(EmbeddingBag.Mode.MAX))),
                new Case(
                        new LSTM(7, 3, o -> o.layers(2).bidirectional(true).batchFirst(true)),
                        series,
                        l -> LSTM.of(l.namedParameters(), o -> o.batchFirst(true))),
                new Case(
                        new GRU(7, 3, o -> o.bias(false)),
                        series,
                        l -> GRU.of(l.namedParameters(), o -> o)),
                new Case(
                        new MultiheadAttention(6, 2),
                        Tensors.randn(4, 2, 6),
                        l ->
                                MultiheadAttention.of(
                                        2,
                                        p(l, "in_proj_weight"),
                                        p(l, "in_proj_bias"),
                                        p(l.module("out_proj"), "weight"),
                                        p(l.module("out_proj"), "bias"),
                                        o -> o)));
    }

    @ParameterizedTest(name = "{0}")
    @DisplayName(
            "a layer made of another's tensors prints and computes as it does, holds the very same"
                    + " tensors, and draws nothing")
    @MethodSource("layers")
    void ofTensors(Case each) {
        each.layer.eval();
        Libtorch.seed(7);
        Module again = each.again.apply(each.layer);
        Tensor afterwards = Tensors.rand(3);
        Libtorch.seed(7);
        assertClose(Tensors.rand(3), afterwards, 0);
        again.eval();
        assertEquals(each.layer.toString(), again.toString());
        assertEquals(
                List.copyOf(each.layer.stateDict().keySet()),
                List.copyOf(again.stateDict().keySet()));
        each.layer
                .namedParameters()
                .forEach((name, tensor) ->
                        assertSame(tensor, again.namedParameters().get(name), name));
        assertClose(each.layer.call(each.example), again.call(each.example), 0);
    }

    @ParameterizedTest(name = "{0}")
    @DisplayName("a layer like another with other tensors holds those and draws nothing")
    @MethodSource("layers")
    void withTensors(Case each) {
        var first = each.layer.stateDict().firstEntry();
        String name = first.getKey();
        each.layer.eval();
        Tensor other = Tensors.rand(Tensors.shape(first.getValue()));
        Libtorch.seed(7);
        Module made = each.layer.withTensors(Map.of(name, other));
        Tensor afterwards = Tensors.rand(3);
        Libtorch.seed(7);
        assertClose(Tensors.rand(3), afterwards, 0);
        Map<String, Tensor> tensors = new LinkedHashMap<>(made.namedBuffers());
        tensors.putAll(made.namedParameters());
        assertSame(other, tensors.get(name));
        assertFalse(made.isTraining());
        assertSame(each.layer.getClass(), made.getClass());
        Module expected = each.layer.copy();
        Map<String, Tensor> state = new LinkedHashMap<>(expected.stateDict());
        state.put(name, other);
        expected.loadStateDict(state);
        assertClose(expected.call(each.example), made.call(each.example), 0);
        Tensor before = each.layer.call(each.example).clone();
        made.namedParameters().values().forEach(tensor -> tensor.detach().zero_());
        assertClose(before, each.layer.call(each.example), 0);
    }

    @Test
    @DisplayName("a masked layer like another keeps its mask")
    void masked() {
        Linear layer = new Linear(3, 2);
        Tensor mask = Tensors.of(new float[] {1, 0, 1, 0, 1, 1}, 2, 3);
        layer.storeAs("weight", "weight_orig");
        layer.addBuffer("weight_mask", mask);
        layer.parametrize("weight", new Mask("weight"));
        Linear made = layer.withTensors(Map.of("weight_orig", Tensors.ones(2, 3)));
        assertClose(mask, made.weight(), 0);
        assertTrue(made.hasBuffer("weight_mask"));
    }

    @Test
    @DisplayName("tensors that don't fit are refused with the shape that is needed")
    void refused() {
        assertEquals(
                "Linear takes a tensor 'bias' of shape [2]; it was given one of [3].",
                messageOf(() -> Linear.of(Tensors.ones(2, 3), Tensors.ones(3))));
        assertEquals(
                "Linear takes a weight of 2 dimensions, none of them empty; it was given one of"
                        + " shape [2].",
                messageOf(() -> Linear.of(Tensors.ones(2), null)));
        assertEquals(
                "Conv2d with 2 input and 3 output channels can't have 2 groups; the number of"
                        + " groups must divide both.",
                messageOf(() -> Conv2d.of(Tensors.ones(3, 1, 1, 1), null, o -> o.groups(2))));
        assertEquals(
                "A batch normalization is given a weight, a weight and a bias, or neither, and a"
                        + " mean and a variance, or neither; but one of the two.",
                messageOf(() -> BatchNorm2d.of(null, null, null, null, o -> o)));
        assertEquals(
                "LSTM of 3, 2, bias=False takes weight_ih_l0, weight_hh_l0; it was given"
                        + " weight_hh_l0, weight_hh_l1, weight_ih_l0.",
                messageOf(() ->
                        LSTM.of(
                                Map.of(
                                        "weight_ih_l0", Tensors.ones(8, 3),
                                        "weight_hh_l0", Tensors.ones(8, 2),
                                        "weight_hh_l1", Tensors.ones(8, 2)),
                                o -> o)));
        Linear layer = new Linear(3, 2);
        assertEquals(
                "No parameter or buffer 'wait' in Linear; it has: weight, bias.",
                messageOf(() -> layer.withTensors(Map.of("wait", Tensors.ones(2)))));
        assertEquals(
                "Linear takes a tensor 'weight' of shape [2, 3]; it was given one of [3, 2].",
                messageOf(() -> layer.withTensors(Map.of("weight", Tensors.ones(3, 2)))));
    }
}
