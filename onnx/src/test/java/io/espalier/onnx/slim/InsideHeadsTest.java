package io.espalier.onnx.slim;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.inputs.Inputs;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.run.OnnxSession;
import io.espalier.onnx.shape.ModelCost;
import io.espalier.slim.Group;
import io.espalier.slim.Unit;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.BiFunction;
import java.util.stream.IntStream;
import java.util.stream.Stream;

@DisplayName("The width inside heads of a file's attention")
class InsideHeadsTest {
    private static final Inputs DATA =
            Inputs.random().size("N", 8).size("L", 6).batch(8).limit(128);

    @ParameterizedTest
    @ValueSource(longs = {4, 0})
    @DisplayName(
            "goes exactly, beside heads, and scores are divided by the root of what the width was")
    void narrowsInsideHeads(long heads) {
        OnnxModel model = attention(heads, InsideHeadsTest::random);
        var slimmer = OnnxSlimmer.of(model);
        List<Group> all = slimmer.groups().all();

        assertEquals(List.of(4, 8, 8), all.stream().map(group -> group.units().size()).toList());
        List<Unit> units = new ArrayList<>(all.get(0).units().subList(1, 2));
        units.addAll(all.get(1).units().subList(2, 5));
        units.addAll(all.get(2).units().subList(0, 4));
        OnnxModel slim = slimmer.remove(units);
        assertEquals(List.of(12L, 3L * 5), constant(slim, "wq").shape());
        assertEquals(List.of(3L * 4, 12L), constant(slim, "wo").shape());
        OnnxModel zeroed = ZeroedModel.of(slimmer, slimmer.groups().choose(units));
        Slimmed.assertSlim(model, zeroed, slim, 1e-5);
        OnnxModel without = OnnxSlimmer.removePruned(zeroed);
        for (String weight : List.of("wq", "wk", "wv", "wo")) {
            assertEquals(constant(slim, weight).shape(), constant(without, weight).shape());
        }
    }

    @Test
    @DisplayName("has other axes in what is slimmed, so that no teacher shows it its own")
    void teachesNoOtherAxes() {
        OnnxModel model = attention(4, InsideHeadsTest::random);

        SlimResult result =
                OnnxSlimmer.of(model).macs(0.6).importance(Importance.secondOrder(DATA)).run();
        OnnxModel teacher = result.values().of(model);

        for (String value : List.of("mq", "fk", "v", "c", "e")) {
            assertNotNull(result.model().graph().producer(value), value);
            assertNull(teacher.graph().producer(value), value);
        }
        assertNotNull(teacher.graph().producer("o"));
        try (var scope = new PointerScope()) {
            Tensor x = Tensors.randn(2, 6, 12);
            assertTrue(Tensors.equal(run(model, x), run(teacher, x)));
        }
    }

    private static Tensor run(OnnxModel model, Tensor x) {
        try (var session = OnnxSession.open(model, s -> s.threads(1))) {
            return session.run(Map.of("x", x)).values().iterator().next();
        }
    }

    /** An attention with four heads of eight places, as exporters write it. */
    private static OnnxModel attention(long heads, BiFunction<Integer, Integer, Tensor> made) {
        Libtorch.seed(5);
        TestGraphs graph =
                TestGraphs.opset(17)
                        .input("x: Float[N, L, 12]")
                        // The heads are counted, or follow from the rest.
                        .integers("to", 0, 0, heads == 0 ? -1 : heads, 8);
        for (String name : List.of("q", "k", "v")) {
            Tensor all = made.apply(13, 32);
            graph.constant("w" + name, ConstantTensor.of(all.narrow(0, 0, 12).contiguous()))
                    .constant("b" + name, ConstantTensor.of(all.select(0, 12).contiguous()))
                    .node("m%1$s = MatMul(x, w%1$s)".formatted(name))
                    .node("f%1$s = Add(m%1$s, b%1$s)".formatted(name))
                    .node("r%1$s = Reshape(f%1$s, to)".formatted(name));
        }
        return graph.node("q = Transpose(rq)", n -> n.with("perm", List.of(0L, 2L, 1L, 3L)))
                .node("k = Transpose(rk)", n -> n.with("perm", List.of(0L, 2L, 3L, 1L)))
                .node("v = Transpose(rv)", n -> n.with("perm", List.of(0L, 2L, 1L, 3L)))
                .node("a = MatMul(q, k)")
                .node("shape = Shape(q)")
                .integer("last", -1)
                .node("width = Gather(shape, last)")
                .node("float = Cast(width)", n -> n.with("to", 1))
                .node("root = Sqrt(float)")
                .node("b = Div(a, root)")
                .node("s = Softmax(b)")
                .node("c = MatMul(s, v)")
                .node("d = Transpose(c)", n -> n.with("perm", List.of(0L, 2L, 1L, 3L)))
                .integers("back", 0, 0, 32)
                .node("e = Reshape(d, back)")
                .constant("wo", ConstantTensor.of(random(32, 12)))
                .floats("bo", new float[12])
                .node("o = MatMul(e, wo)")
                .node("y = Add(o, bo)")
                .output("y")
                .build();
    }

    private static Tensor random(int rows, int columns) {
        return Tensors.randn(rows, columns).mul(new Scalar(1 / Math.sqrt(rows)));
    }

    /** Of which each head has four places' worth, spread over all eight. */
    private static Tensor narrow(int rows, int columns) {
        return torch.cat(
                new TensorVector(
                        IntStream.range(0, 4)
                                .mapToObj(head -> random(rows, 4).matmul(random(4, columns / 4)))
                                .toArray(Tensor[]::new)),
                1);
    }

    private static Stream<Importance> importances() {
        return Stream.of(
                Importance.secondOrder(DATA),
                Importance.activation(DATA),
                Importance.magnitude(),
                Importance.gradient(DATA));
    }

    @ParameterizedTest
    @MethodSource("importances")
    @DisplayName("goes instead of heads where it is worth nothing, though no place is empty")
    void goesWhereLeastIsLost(Importance importance) {
        OnnxModel model = attention(4, InsideHeadsTest::narrow);
        var slimmer = OnnxSlimmer.of(model);

        SlimResult half = slimmer.ratio(0.5).importance(importance).run();

        assertEquals(List.of(4, 4, 4), half.rows().stream().map(SlimResult.Row::left).toList());
        Slimmed.assertSlim(model, model, half.model(), 2e-3);

        SlimResult counted = slimmer.macs(0.75).importance(importance).timedOn(DATA).run();

        assertEquals(4, counted.rows().getFirst().left());
        Slimmed.assertSlim(model, model, counted.model(), 2e-3);
    }

    @Test
    @DisplayName("stays by chance, which knows the file's places only, and where zeros were pruned")
    void stays() {
        OnnxModel narrow = attention(4, InsideHeadsTest::narrow);
        OnnxModel pruned =
                attention(4, (rows, columns) -> random(rows, columns).clamp_min(new Scalar(0)));

        for (Slimming half :
                List.of(
                        OnnxSlimmer.of(narrow).ratio(0.5).importance(Importance.random(1)),
                        OnnxSlimmer.of(pruned).ratio(0.5))) {
            List<Integer> left = half.run().rows().stream().map(SlimResult.Row::left).toList();
            assertEquals(List.of(2, 8, 8), left);
        }
    }

    @Test
    @DisplayName("costs what is left of heads times what is left inside")
    void isForeseen() {
        var slimmer = OnnxSlimmer.of(attention(4, InsideHeadsTest::random));
        List<Group> groups = slimmer.groups().all();
        var costs = new Costs(slimmer, groups, LeftOutBlocks.none(slimmer, groups));
        int[] widths = {3, 5, 6};

        OnnxModel slim = costs.narrowed(widths);

        assertEquals(ModelCost.of(slim).macs(), costs.macs(Map.of()).of(widths), 1e-6);
        assertEquals(ModelCost.of(slim).parameters(), costs.parameters().of(widths), 1e-6);
    }

    private static ConstantTensor constant(OnnxModel model, String name) {
        return Objects.requireNonNull(model.graph().constant(name));
    }
}
