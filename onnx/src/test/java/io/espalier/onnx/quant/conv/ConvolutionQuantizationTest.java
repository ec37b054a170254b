package io.espalier.onnx.quant.conv;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.proto.GraphProto;
import io.espalier.onnx.repair.Repair;
import io.espalier.onnx.run.OnnxSession;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;

@DisplayName("A convolutional network in integers")
class ConvolutionQuantizationTest {
    private static final List<Long> PADDED = List.of(1L, 1L, 1L, 1L);

    @BeforeEach
    void seed() {
        Libtorch.seed(4);
    }

    @ParameterizedTest(name = "with {0} after each convolution")
    @ValueSource(strings = {"Relu", "HardSwish", "Clip", "Silu", "nothing"})
    @DisplayName("gives nearly the same,")
    void activations(String activation) {
        OnnxModel model = network(activation);

        assertClose(model, all(model), 0.02);
    }

    @Test
    @DisplayName("adds, joins, pools and gates as integers, by the runtime's own kernels")
    void joins() {
        OnnxModel model = joined();

        OnnxModel quantized = all(model);

        List<String> ops = quantized.graph().nodes().stream().map(OnnxNode::op).toList();
        assertTrue(
                ops.containsAll(
                        List.of(
                                "QLinearConv",
                                "QLinearAdd",
                                "QLinearConcat",
                                "QLinearMul",
                                "NhwcMaxPool",
                                "QLinearAveragePool",
                                "QLinearGlobalAveragePool")),
                ops.toString());
        assertClose(model, quantized, 0.03);
    }

    @ParameterizedTest(name = "with {0}")
    @ValueSource(strings = {"Relu", "HardSwish", "Clip", "Silu", "nothing", "joins"})
    @DisplayName(
            "is the same in operators of the standard alone, to which the runtime does the same,")
    void portable(String kind) {
        OnnxModel quantized = all(kind.equals("joins") ? joined() : network(kind));

        OnnxModel portable = PortableForm.of(quantized);

        assertFalse(portable.opsets().containsKey(OnnxNode.MICROSOFT));
        assertTrue(portable.graph().nodes().stream().allMatch(node -> node.domain().isEmpty()));
        assertEquals(0, count(portable, "Transpose"), "channels come first throughout");
        assertClose(quantized, portable, 0.01);
    }

    @Test
    @DisplayName("is transposed for a reader of integers that nobody knows")
    void portableBesideOthers() {
        OnnxModel quantized =
                all(network("Relu"))
                        .rewritten(graph -> {
                            OnnxNode conv =
                                    graph.nodes().stream()
                                            .filter(node -> node.op().equals("QLinearConv"))
                                            .findFirst()
                                            .orElseThrow();
                            graph.add(OnnxNode.of("Shape", List.of(conv.output()), "shape"));
                            graph.addOutput("shape");
                        });
        try (var scope = new PointerScope();
                var session = OnnxSession.open(PortableForm.of(quantized))) {
            Tensor shape = session.run(Map.of("x", Tensors.rand(4, 3, 16, 16))).get("shape");

            assertArrayEquals(
                    new long[] {4, 16, 16, 48}, Tensors.longs(Objects.requireNonNull(shape)));
        }
    }

    @Test
    @DisplayName(
            "is as much faster as the times of its layers say, and what leads to integers takes")
    void promised() {
        var convolutions = ConvolutionQuantization.of(network("Relu"), node -> true, false);
        var all =
                convolutions.choice(
                        convolutions.layers().stream()
                                .map(ConvolutionQuantization.Layer::name)
                                .collect(Collectors.toSet()));
        assertEquals(1, convolutions.speedup(all), "nothing is known");

        convolutions.recallTimes(
                Map.ofEntries(
                        Map.entry("the whole in floats", 10.0),
                        Map.entry("float a0", 2.0),
                        Map.entry("float a1", 3.0),
                        Map.entry("float a2", 3.0),
                        Map.entry("integer a0", 0.5),
                        Map.entry("integer a1", 1.0),
                        Map.entry("integer a2", 1.0),
                        Map.entry("elements x", 50.0),
                        Map.entry("elements a2", 25.0),
                        Map.entry("to integers", 0.01),
                        Map.entry("to floats", 0.02)));

        assertEquals(1, convolutions.speedup(convolutions.choice(Set.of())));
        assertEquals(10 / (10 - 5.5 + 50 * 0.01 + 25 * 0.02), convolutions.speedup(all), 1e-9);
    }

    @Test
    @DisplayName("has one scale for a weight if that is asked for")
    void perTensor() {
        OnnxModel model = network("Relu");
        try (var scope = new PointerScope()) {
            ConvolutionQuantization quantization =
                    ConvolutionQuantization.of(model, node -> true, false).perTensor();

            for (OnnxModel found :
                    List.of(
                            quantization.fitAll(data()).model(),
                            quantization.store(data()).model())) {
                assertTrue(
                        found.graph().constants().entrySet().stream()
                                .filter(constant -> constant.getKey().contains("scales"))
                                .allMatch(constant -> constant.getValue().elements() == 1));
                assertClose(model, found, 0.04);
            }
        }
    }

    @Test
    @DisplayName("is quantized and dequantized only where it begins and ends")
    void noWastedPairs() {
        OnnxModel quantized = all(network("HardSwish"));

        long pairs =
                quantized.graph().nodes().stream()
                        .filter(node -> node.op().endsWith("uantizeLinear"))
                        .count();
        assertEquals(2, pairs);
    }

    @Test
    @DisplayName("keeps a shift and a scale after a hard swish, also before padding")
    void affineBeforePadding() {
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Float[N, 3, 16, 16]")
                        .weight("w", 8, 3, 3, 3)
                        .weight("v", 8, 1, 3, 3)
                        .floats("s", 0.4f)
                        .floats("b", -0.27f)
                        .node("a = Conv(x, w)", n -> n.with("pads", PADDED))
                        .node("h = HardSwish(a)")
                        .node("m = Mul(h, s)")
                        .node("c = Add(m, b)")
                        .node("d = Conv(c, v)", n -> n.with("pads", PADDED).with("group", 8))
                        .node("y = Relu(d)")
                        .output("y")
                        .build();

        OnnxModel quantized = all(model);

        assertFalse(quantized.graph().nodes().stream().anyMatch(node -> node.is("Add")));
        assertClose(model, quantized, 0.02);
    }

    @Test
    @DisplayName("in part: what stays in floats keeps its weights in bytes and its means")
    void partly() {
        OnnxModel model = network("Relu");
        ConvolutionQuantization quantization =
                ConvolutionQuantization.of(model, node -> true, false);
        try (var scope = new PointerScope()) {
            List<Unit> some = quantization.units().subList(1, 2);

            OnnxModel quantized = quantization.fitted(some, data()).model();

            assertEquals(1, count(quantized, "QLinearConv"));
            assertEquals(2, count(quantized, "Conv"));
            assertTrue(quantized.constantBytes() < model.constantBytes() / 2);
            assertClose(model, quantized, 0.02);
        }
    }

    @Test
    @DisplayName("in floats with weights of a quarter of the size")
    void stored() {
        OnnxModel model = network("Relu");
        try (var scope = new PointerScope()) {
            OnnxModel stored =
                    ConvolutionQuantization.of(model, node -> true, false).store(data()).model();

            assertEquals(0, count(stored, "QLinearConv"));
            assertTrue(stored.constantBytes() < 0.4 * model.constantBytes());
            assertClose(model, stored, 0.01);
        }
    }

    @Test
    @DisplayName("is divided between floats and integers by what each costs")
    void minimumCut() {
        var cut = new MinimumCut();
        int a = cut.node();
        int b = cut.node();
        cut.cost(cut.first(), a, 5);
        cut.cost(a, cut.second(), 1);
        cut.cost(cut.first(), b, 1);
        cut.cost(b, cut.second(), 2);
        cut.cost(a, b, 3);

        boolean[] withPair = cut.onFirst();

        assertTrue(withPair[a]);
        assertTrue(withPair[b]);
    }

    @ParameterizedTest(name = "{0}")
    @ValueSource(strings = {"Identity", "MaxPool"})
    @DisplayName("leaves what a graph within a node reads in floats, behind")
    void captured(String between) {
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Float[N, 3, 16, 16]")
                        .weight("w0", 8, 3, 1, 1)
                        .weight("w1", 4, 8, 1, 1)
                        .weight("w2", 4, 4, 1, 1)
                        .constant("zero", ConstantTensor.scalar(0))
                        .node("most = ReduceMax(x)", n -> n.with("keepdims", 0))
                        .node("flag = Greater(most, zero)")
                        .node("c0 = Conv(x, w0)")
                        .node(
                                "h = " + between + "(c0)",
                                n ->
                                        between.equals("MaxPool")
                                                ? n.with("kernel_shape", List.of(1L, 1L))
                                                : n)
                        .node(
                                "z = If(flag)",
                                n ->
                                        n.with("then_branch", branch("Relu"))
                                                .with("else_branch", branch("Tanh")))
                        .node("c1 = Conv(z, w1)")
                        .node("r1 = Relu(c1)")
                        .node("y = Conv(r1, w2)")
                        .output("y")
                        .build();

        OnnxModel quantized = all(model);

        assertEquals(1, count(quantized, "QLinearConv"));
        assertClose(model, quantized, 0.03);
    }

    @ParameterizedTest(name = "{0}")
    @ValueSource(strings = {"cubic to less", "linear along axes"})
    @DisplayName("resizes between integers as the runtime can, also when it is repaired again:")
    void resized(String how) {
        boolean cubic = how.startsWith("cubic");
        float[] scales = cubic ? new float[] {1, 1, 0.5f, 2} : new float[] {0.5f, 2};
        OnnxModel model =
                TestGraphs.opset(18)
                        .input("x: Float[N, 3, 16, 16]")
                        .weight("w0", 8, 3, 1, 1)
                        .weight("w1", 4, 8, 1, 1)
                        .weight("w2", 4, 4, 1, 1)
                        .floats("scales", scales)
                        .node("c0 = Conv(x, w0)")
                        .node("a0 = Relu(c0)")
                        .node(
                                "r = Resize(a0, , scales)",
                                n ->
                                        cubic
                                                ? n.with("mode", "cubic")
                                                : n.with("mode", "linear")
                                                        .with("axes", List.of(2L, 3L)))
                        .node("c1 = Conv(r, w1)")
                        .node("y = Conv(c1, w2)")
                        .output("y")
                        .build();

        OnnxModel quantized = all(model);

        assertEquals(2, count(quantized, "QLinearConv"));
        assertClose(model, quantized, 0.03);
        assertClose(model, Repair.run(quantized).model(), 0.03);
    }

    private static GraphProto branch(String op) {
        return TestGraphs.opset(17).node("b = " + op + "(h)").output("b").graph();
    }

    private static long count(OnnxModel model, String op) {
        return model.graph().nodes().stream().filter(node -> node.op().equals(op)).count();
    }

    private static OnnxModel all(OnnxModel model) {
        try (var scope = new PointerScope()) {
            return ConvolutionQuantization.of(model, node -> true, false).fitAll(data()).model();
        }
    }

    private static List<Map<String, Tensor>> data() {
        return Stream.generate(() -> Map.of("x", Tensors.rand(4, 3, 16, 16))).limit(3).toList();
    }

    /** The relative error of the results, by their squares, is below this. */
    private static void assertClose(OnnxModel model, OnnxModel other, double limit) {
        try (var scope = new PointerScope();
                var first = OnnxSession.open(model);
                var second = OnnxSession.open(other)) {
            Map<String, Tensor> inputs = Map.of("x", Tensors.rand(4, 3, 16, 16));
            float[] expected = Tensors.floats(first.run(inputs).values().iterator().next());
            float[] found = Tensors.floats(second.run(inputs).values().iterator().next());
            double squares = 0;
            double errors = 0;
            for (int i = 0; i < expected.length; i++) {
                squares += expected[i] * expected[i];
                errors += (expected[i] - found[i]) * (expected[i] - found[i]);
            }
            double error = Math.sqrt(errors / squares);
            assertTrue(error < limit, "error " + error);
        }
    }

    private static OnnxModel network(String activation) {
        var graph =
                TestGraphs.opset(17)
                        .input("x: Float[N, 3, 16, 16]")
                        .weight("w0", 48, 3, 3, 3)
                        .weight("w1", 48, 1, 3, 3)
                        .weight("w2", 64, 48, 1, 1)
                        .weight("b2", 64)
                        .constant("low", ConstantTensor.scalar(0))
                        .constant("high", ConstantTensor.scalar(6));
        var calls = List.of("c0 = Conv(x, w0)", "c1 = Conv(a0, w1)", "c2 = Conv(a1, w2, b2)");
        for (int i = 0; i < 3; i++) {
            int layer = i;
            graph.node(
                    calls.get(i),
                    n ->
                            layer == 2
                                    ? n
                                    : n.with("pads", PADDED).with("group", layer == 1 ? 48 : 1));
            switch (activation) {
                case "nothing" -> graph.node("a" + i + " = Identity(c" + i + ")");
                case "Clip" -> graph.node("a" + i + " = Clip(c" + i + ", low, high)");
                case "Silu" -> {
                    graph.node("s" + i + " = Sigmoid(c" + i + ")");
                    graph.node("a" + i + " = Mul(c" + i + ", s" + i + ")");
                }
                default -> graph.node("a" + i + " = " + activation + "(c" + i + ")");
            }
        }
        return graph.output("a2").build();
    }

    private static OnnxModel joined() {
        return TestGraphs.opset(17)
                .input("x: Float[N, 3, 16, 16]")
                .weight("w0", 8, 3, 3, 3)
                .weight("w1", 8, 8, 3, 3)
                .weight("w2", 4, 8, 1, 1)
                .weight("w3", 8, 4, 1, 1)
                .weight("w4", 8, 16, 1, 1)
                .node("c0 = Conv(x, w0)", n -> n.with("pads", PADDED))
                .node("a0 = Relu(c0)")
                .node("c1 = Conv(a0, w1)", n -> n.with("pads", PADDED))
                .node("sum = Add(c1, a0)")
                .node("a1 = Relu(sum)")
                .node("g = GlobalAveragePool(a1)")
                .node("g1 = Conv(g, w2)")
                .node("g2 = Relu(g1)")
                .node("g3 = Conv(g2, w3)")
                .node("g4 = Sigmoid(g3)")
                .node("gated = Mul(a1, g4)")
                .node("both = Concat(gated, a0)", n -> n.with("axis", 1))
                .node("c4 = Conv(both, w4)")
                .node(
                        "p = MaxPool(c4)",
                        n ->
                                n.with("kernel_shape", List.of(3L, 3L))
                                        .with("strides", List.of(2L, 2L))
                                        .with("pads", PADDED))
                .node("y = AveragePool(p)", n -> n.with("kernel_shape", List.of(2L, 2L)))
                .output("y")
                .build();
    }
}
