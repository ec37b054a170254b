package io.espalier.onnx.quant.half;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.inputs.Inputs;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.quant.LibtorchResult;
import io.espalier.onnx.quant.QuantizationMode;
import io.espalier.onnx.quant.QuantizationResult;
import io.espalier.onnx.quant.Quantizer;
import io.espalier.onnx.run.OnnxSession;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Collectors;

@DisplayName("A model that computes in floats of 16 or of 64 bits")
class SinglePrecisionTest {
    private final PointerScope scope = new PointerScope();

    @BeforeEach
    void seed() {
        Libtorch.seed(1);
    }

    @AfterEach
    void free() {
        scope.close();
    }

    private static Map<String, Tensor> batch(ElementType type) {
        return Map.of("x", Tensors.randn(8, 16).to(type.libtorch()));
    }

    /** A model of floats, with all that has real numbers of another type. */
    private static OnnxModel in(ElementType type, TestGraphs floats) {
        return floats.build()
                .rewritten(graph ->
                        List.copyOf(graph.constants().keySet())
                                .forEach(name -> {
                                    ConstantTensor held = graph.constants().get(name);
                                    if (held != null && held.type() == ElementType.FLOAT) {
                                        graph.setConstant(name, as(type, held));
                                    }
                                }));
    }

    private static ConstantTensor as(ElementType type, ConstantTensor held) {
        return ConstantTensor.of(held.toTensor().to(type.libtorch()));
    }

    private static TestGraphs network(ElementType type) {
        return TestGraphs.opset(17)
                .input("x: " + type + "[N, 16]")
                .weight("w", 16, 64)
                .weight("b", 64)
                .weight("head", 64, 24)
                .node("p = MatMul(x, w)")
                .node("c = Add(p, b)")
                .node("r = Relu(c)")
                .node("y = MatMul(r, head)")
                .output("y: " + type + "[N, 24]");
    }

    private static Tensor run(OnnxModel model, Map<String, Tensor> inputs, String result) {
        try (var session = OnnxSession.open(model, s -> s.threads(1))) {
            return Objects.requireNonNull(session.run(inputs).get(result));
        }
    }

    private static void assertNear(Tensor expected, Tensor found, double most) {
        assertEquals(Tensors.type(expected), Tensors.type(found));
        Tensor difference = expected.to(ScalarType.Double).sub(found.to(ScalarType.Double));
        double scale = expected.to(ScalarType.Double).abs().max().item_double();
        double error = difference.abs().max().item_double() / scale;
        assertTrue(error < most, "off by " + error);
    }

    @ParameterizedTest
    @EnumSource(names = {"FLOAT16", "DOUBLE"})
    @DisplayName("computes in 32 bits what it did, in branches too; what it takes and gives stays")
    void opened(ElementType type) {
        var then =
                TestGraphs.opset(17)
                        .constant("twice", as(type, ConstantTensor.scalar(2)))
                        .node("a = Mul(p, twice)")
                        .output("a: " + type)
                        .graph();
        var otherwise =
                TestGraphs.opset(17)
                        .node("o = Cast(p)", n -> n.with("to", type.code()))
                        .output("o: " + type)
                        .graph();
        OnnxModel model =
                in(
                        type,
                        network(type)
                                .node("n = Shape(x)")
                                .node("s = Size(n)")
                                .integer("two", 2)
                                .node("which = Equal(s, two)")
                                .node(
                                        "z = If(which)",
                                        n ->
                                                n.with("then_branch", then)
                                                        .with("else_branch", otherwise))
                                .output("z: " + type)
                                .output("x: " + type + "[N, 16]")
                                .output("b: " + type + "[64]"));
        Map<String, Tensor> x = batch(type);

        OnnxModel opened = OpenedHalves.open(model);

        assertEquals(
                Set.of("b"),
                opened.graph().constants().entrySet().stream()
                        .filter(held -> held.getValue().type() == type)
                        .map(Map.Entry::getKey)
                        .collect(Collectors.toSet()));
        assertEquals(0, count(opened.graph().nodes(), type));
        for (String result : List.of("y", "z", "x", "b")) {
            assertNear(run(model, x, result), run(opened, x, result), 2e-3);
        }
    }

    /** How many branches hold constants of this type. */
    private static long count(List<OnnxNode> nodes, ElementType type) {
        return nodes.stream()
                .flatMap(node -> node.subgraphs().stream())
                .flatMap(inner -> inner.getInitializerList().stream())
                .filter(tensor -> tensor.getDataType() == type.code())
                .count();
    }

    @Test
    @DisplayName("stays as it is if an operator is called that nobody knows, or few are doubles")
    void left() {
        OnnxModel foreign =
                in(ElementType.FLOAT16, network(ElementType.FLOAT16))
                        .rewritten(graph ->
                                graph.add(
                                        OnnxNode.of("acme", "Wobble", List.of("y"), List.of("q"))));
        assertSame(foreign, OpenedHalves.open(foreign));
        OnnxModel mixed =
                network(ElementType.FLOAT)
                        .constant(
                                "d",
                                as(ElementType.DOUBLE, ConstantTensor.floats(List.of(2L), 1, 2)))
                        .build();
        assertSame(mixed, OpenedHalves.open(mixed));
    }

    @ParameterizedTest
    @EnumSource(names = {"FLOAT16", "DOUBLE"})
    @DisplayName("is put into integers, whose inputs and results are what they were")
    void quantized(ElementType type) {
        OnnxModel model = in(type, network(type));

        Map<String, Tensor> x = batch(type);
        Inputs data = Inputs.of(List.of(x));

        QuantizationResult result =
                Quantizer.of(QuantizationMode.STATIC).threads(1).quantize(model, data);
        LibtorchResult graph = Quantizer.auto().threads(1).quantizeForLibtorch(model, data);

        assertTrue(result.table().contains("int8"), result.table());
        assertNear(run(model, x, "y"), run(result.model(), x, "y"), 0.03);
        assertNear(run(model, x, "y"), graph.model().model().run(x).firstEntry().getValue(), 0.03);
    }

    @Test
    @DisplayName("of 64 bits has its weights in 16 where that is asked for")
    void stored() {
        OnnxModel model = in(ElementType.DOUBLE, network(ElementType.DOUBLE));

        QuantizationResult result =
                Quantizer.of(QuantizationMode.FLOAT16)
                        .threads(1)
                        .quantize(model, Inputs.of(List.of(batch(ElementType.DOUBLE))));

        assertTrue(result.size() < 0.5, result.table());
        assertTrue(result.drop() < 1e-5);
    }
}
