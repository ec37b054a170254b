package io.espalier.onnx.quant.half;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.run.OnnxSession;
import io.espalier.onnx.run.OperatorTimes;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.List;
import java.util.Map;
import java.util.Objects;

@DisplayName("Weights kept in 16 bits")
class HalfStorageTest {
    private final PointerScope scope = new PointerScope();

    @AfterEach
    void free() {
        scope.close();
    }

    private static TestGraphs network() {
        return TestGraphs.opset(13)
                .input("x: Float[N, 4, 8, 8]")
                .weight("w0", 16, 4, 3, 3)
                .weight("b0", 16)
                .weight("w1", 1024, 32)
                .node("c = Conv(x, w0, b0)", n -> n.with("pads", List.of(1L, 1L, 1L, 1L)))
                .node("r = Relu(c)")
                .node("f = Flatten(r)")
                .node("y = MatMul(f, w1)")
                .output("y: Float[N, 32]");
    }

    private static float[] run(OnnxModel model, Map<String, Tensor> inputs) {
        try (var session = OnnxSession.open(model, s -> s.threads(1))) {
            return Tensors.floats(Objects.requireNonNull(session.run(inputs).get("y")));
        }
    }

    private static HalfStorage.Result halved(OnnxModel model) {
        return HalfStorage.of(model, node -> true);
    }

    private static List<ElementType> types(OnnxModel model) {
        return model.graph().constants().values().stream().map(ConstantTensor::type).toList();
    }

    @Test
    @DisplayName("halve a model, and change its results as weights so rounded do, no more")
    void roundedAndNoMore() {
        OnnxModel model = network().build();
        OnnxModel rounded =
                model.rewritten(graph -> List.of("w0", "w1").forEach(name -> round(graph, name)));
        Map<String, Tensor> x = Map.of("x", Tensors.randn(2, 4, 8, 8));

        HalfStorage.Result result = halved(model);

        assertTrue(result.model().byteSize() < 0.51 * model.byteSize());
        assertArrayEquals(run(rounded, x), run(result.model(), x));
        assertEquals(2, result.weights().stream().filter(w -> w.halved()).count());
    }

    private static void round(OnnxGraph graph, String name) {
        ConstantTensor weight = graph.constant(name);
        float[] values = weight == null ? new float[0] : weight.toFloats();
        for (int i = 0; i < values.length; i++) {
            values[i] = Float.float16ToFloat(Float.floatToFloat16(values[i]));
        }
        graph.setConstant(
                name, ConstantTensor.floats(weight == null ? List.of() : weight.shape(), values));
    }

    @Test
    @DisplayName("leave inputs and results as they are named and typed")
    void sameBorders() {
        OnnxModel model = network().build();

        OnnxModel halved = halved(model).model();

        assertEquals(model.graph().inputs(), halved.graph().inputs());
        assertEquals(model.graph().outputs(), halved.graph().outputs());
    }

    @Test
    @DisplayName("become floats when the runtime loads the model, not when it runs")
    void foldedAtLoad() {
        var large = new float[64 * 64];
        large[5] = 1e6f;
        OnnxModel model =
                TestGraphs.opset(13)
                        .input("x: Float[N, 64]")
                        .constant("w", ConstantTensor.floats(List.of(64L, 64L), large))
                        .weight("v", 64, 64)
                        .node("a = MatMul(x, w)")
                        .node("y = MatMul(a, v)")
                        .output("y")
                        .build();

        OnnxModel halved = halved(model).model();

        Map<String, Double> ran =
                OperatorTimes.of(halved, Map.of("x", Tensors.randn(2, 64)), 1, 1).all();
        assertEquals(2, ran.size(), ran.toString());
        assertTrue(halved.graph().nodes().stream().anyMatch(node -> node.is("Mul")));
    }

    @Test
    @DisplayName("give finite results where masks are as low as floats go")
    void masks() {
        var mask = new float[16 * 16];
        for (int i = 0; i < mask.length; i += 3) {
            mask[i] = -Float.MAX_VALUE;
        }
        OnnxModel model =
                TestGraphs.opset(13)
                        .input("x: Float[16, 16]")
                        .constant("m", ConstantTensor.floats(List.of(16L, 16L), mask))
                        .node("a = Add(x, m)")
                        .node("y = Softmax(a)")
                        .output("y")
                        .build();
        Map<String, Tensor> x = Map.of("x", Tensors.randn(16, 16));

        HalfStorage.Result result = halved(model);

        assertTrue(result.weights().getFirst().halved());
        assertArrayEquals(run(model, x), run(result.model(), x));
    }

    @Test
    @DisplayName("stay exact where they are compared, scale integers, or are a result")
    void exact() {
        OnnxModel model =
                TestGraphs.opset(13)
                        .input("x: Float[4, 512]")
                        .input("q: UInt8[4, 512]")
                        .weight("limit", 512)
                        .weight("scales", 512)
                        .weight("z", 512)
                        .node("g = Greater(x, limit)")
                        .node("y = Cast(g)", n -> n.with("to", 1))
                        .node("d = DequantizeLinear(q, scales)", n -> n.with("axis", 1))
                        .node("u = Add(d, z)")
                        .output("y")
                        .output("u")
                        .output("z")
                        .build();

        HalfStorage.Result result = halved(model);

        assertFalse(types(result.model()).contains(ElementType.FLOAT16));
        assertEquals(
                List.of(
                        "Greater takes it exact",
                        "DequantizeLinear takes it exact",
                        "it is a result of the model"),
                result.weights().stream().map(HalfStorage.Weight::why).toList());
    }

    @Test
    @DisplayName("stay floats where a caller may replace them, and where that is asked for")
    void kept() {
        OnnxModel model = network().input("w0: Float[16, 4, 3, 3]").build();

        HalfStorage.Result result = HalfStorage.of(model, node -> !node.name().equals("y/MatMul"));

        assertFalse(types(result.model()).contains(ElementType.FLOAT16));
        assertEquals("kept float as asked", result.weights().getFirst().why());
    }

    @Test
    @DisplayName("are halved in branches, as constants or nodes, and where branches reach out")
    void branches() {
        TestGraphs then =
                TestGraphs.opset(13)
                        .weight("inner", 32, 32)
                        .node("t0 = MatMul(x, inner)")
                        .node("t1 = Mul(t0, outer)")
                        .output("t1: Float");
        ConstantTensor constant =
                TestGraphs.opset(13)
                        .weight("c", 32, 32)
                        .input("i: Float")
                        .output("i")
                        .build()
                        .graph()
                        .constants()
                        .get("c");
        TestGraphs otherwise =
                TestGraphs.opset(13)
                        .node(
                                "k = Constant()",
                                n -> n.with("value", Objects.requireNonNull(constant)))
                        .node("e0 = MatMul(x, k)")
                        .node("e1 = Add(e0, outer)")
                        .output("e1: Float");
        OnnxModel model =
                TestGraphs.opset(13)
                        .input("x: Float[32, 32]")
                        .input("c: Bool[]")
                        .weight("outer", 32, 32)
                        .node(
                                "y = If(c)",
                                n ->
                                        n.with("then_branch", then.graph())
                                                .with("else_branch", otherwise.graph()))
                        .output("y: Float")
                        .build();

        HalfStorage.Result result = halved(model);

        assertEquals(
                3,
                result.weights().stream().filter(HalfStorage.Weight::halved).count(),
                result.weights().toString());
        assertTrue(result.model().byteSize() < 0.6 * model.byteSize());
        for (boolean which : new boolean[] {true, false}) {
            Map<String, Tensor> inputs =
                    Map.of(
                            "x",
                            Tensors.randn(32, 32),
                            "c",
                            Tensors.of(new float[] {which ? 1 : 0})
                                    .gt(new Scalar(0.5))
                                    .reshape(new long[0]));
            float[] expected = run(model, inputs);
            float[] found = run(result.model(), inputs);
            assertNotEquals(expected[0], found[0]);
            for (int i = 0; i < expected.length; i++) {
                assertEquals(expected[i], found[i], 0.05);
            }
            Map<String, Double> ran = OperatorTimes.of(result.model(), inputs, 1, 1).all();
            assertTrue(
                    ran.keySet().stream().noneMatch(name -> name.contains("Cast")), ran.toString());
        }
    }

    @Test
    @DisplayName("stay floats where a branch compares with them")
    void comparedInBranch() {
        TestGraphs then =
                TestGraphs.opset(13)
                        .node("g = Greater(x, limit)")
                        .node("t = Cast(g)", n -> n.with("to", 1))
                        .output("t: Float");
        TestGraphs otherwise = TestGraphs.opset(13).node("e = Add(x, limit)").output("e: Float");
        OnnxModel model =
                TestGraphs.opset(13)
                        .input("x: Float[512]")
                        .input("c: Bool[]")
                        .weight("limit", 512)
                        .node(
                                "y = If(c)",
                                n ->
                                        n.with("then_branch", then.graph())
                                                .with("else_branch", otherwise.graph()))
                        .output("y: Float")
                        .build();

        HalfStorage.Result result = halved(model);

        assertEquals(List.of(ElementType.FLOAT), types(result.model()));
        assertEquals("If takes it exact", result.weights().getFirst().why());
    }

    @Test
    @DisplayName("of operators that nobody knows stay floats")
    void unknownOperator() {
        OnnxModel model =
                TestGraphs.opset(13)
                        .input("x: Float[4, 64]")
                        .weight("w", 64, 64)
                        .node("y = my.domain:Odd(x, w)")
                        .output("y")
                        .build();

        OnnxModel halved = halved(model).model();

        assertEquals(List.of(ElementType.FLOAT), types(halved));
        assertTrue(
                halved.graph().nodes().stream().map(OnnxNode::op).toList().equals(List.of("Odd")));
    }
}
