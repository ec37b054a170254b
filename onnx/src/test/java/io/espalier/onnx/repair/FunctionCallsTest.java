package io.espalier.onnx.repair;

import static io.espalier.onnx.repair.Results.assertSame;
import static io.espalier.onnx.repair.Results.assertUntouched;
import static io.espalier.onnx.repair.Results.operators;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.lower.Lowering;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.proto.AttributeProto;
import io.espalier.onnx.proto.FunctionProto;
import io.espalier.onnx.proto.NodeProto;
import io.espalier.onnx.proto.OperatorSetIdProto;
import io.espalier.onnx.run.OnnxSession;
import io.espalier.tensor.EspalierException;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.util.List;

@DisplayName("Functions of a file")
class FunctionCallsTest {
    private static final String PASS = "functions";
    private static final String OWN = "my.layers";

    private static OperatorSetIdProto version(String domain, long version) {
        return OperatorSetIdProto.newBuilder().setDomain(domain).setVersion(version).build();
    }

    private static FunctionProto.Builder function(String name) {
        return FunctionProto.newBuilder()
                .setDomain(OWN)
                .setName(name)
                .addOpsetImport(version("", 17))
                .addOpsetImport(version(OWN, 1));
    }

    private static NodeProto referring(OnnxNode node, String attribute, String to) {
        return node.toProto().toBuilder()
                .addAttribute(
                        AttributeProto.newBuilder()
                                .setName(attribute)
                                .setType(AttributeProto.AttributeType.FLOAT)
                                .setRefAttrName(to))
                .build();
    }

    private static OnnxNode call(String op, List<String> inputs, List<String> outputs) {
        return OnnxNode.of(OWN, op, inputs, outputs);
    }

    /** A leaky function of a slope, and one that calls it twice and has a branch. */
    private static OnnxModel model(TestGraphs graph) {
        FunctionProto leaky =
                function("Leaky")
                        .addInput("x")
                        .addOutput("y")
                        .addAttribute("slope")
                        .addNode(
                                referring(
                                        OnnxNode.of("LeakyRelu", List.of("x"), "t"),
                                        "alpha",
                                        "slope"))
                        .addNode(OnnxNode.of("Neg", List.of("t"), "y").toProto())
                        .build();
        var then = TestGraphs.opset(17).node("a = Add(t, t)").output("a").graph();
        var otherwise = TestGraphs.opset(17).node("b = Sub(t, x)").output("b").graph();
        FunctionProto twice =
                function("Twice")
                        .addInput("x")
                        .addInput("which")
                        .addOutput("y")
                        .addOutput("t")
                        .addNode(
                                call("Leaky", List.of("x"), List.of("t"))
                                        .with("slope", 0.3f)
                                        .toProto())
                        .addNode(
                                OnnxNode.of("If", List.of("which"), "u")
                                        .with("then_branch", then)
                                        .with("else_branch", otherwise)
                                        .toProto())
                        .addNode(call("Leaky", List.of("u"), List.of("y")).toProto())
                        .build();
        return OnnxModel.of(
                graph.build().withOpset(OWN, 1).toProto().toBuilder()
                        .addFunctions(leaky)
                        .addFunctions(twice)
                        .build());
    }

    private static TestGraphs calling() {
        return TestGraphs.opset(17)
                .input("x: Float[N, 4]")
                .constant("zero", ConstantTensor.scalar(0))
                .node("sum = ReduceSum(x)", n -> n.with("keepdims", 0))
                .node("which = Greater(sum, zero)");
    }

    @Test
    @DisplayName(
            "come in the place of their calls, with the calls' attributes, values and branches")
    void inlined() {
        OnnxModel model =
                model(
                        calling()
                                .node("a, t = my.layers:Twice(x, which)")
                                .node("y, u = my.layers:Twice(a, which)")
                                .output("y")
                                .output("t"));

        OnnxModel flat = Repair.pass(PASS).run(model);

        assertFalse(flat.hasFunctions());
        assertEquals("Greater 1, If 2, LeakyRelu 4, Neg 4, ReduceSum 1", operators(flat));
        assertSame(model, flat, 3, 4);
        assertSame(model, flat, 1, 4);
    }

    @Test
    @DisplayName("stay where a branch calls one, or one is of another version of the standard")
    void kept() {
        var then = TestGraphs.opset(17).node("p = my.layers:Leaky(x)").output("p").graph();
        var otherwise = TestGraphs.opset(17).node("q = Neg(x)").output("q").graph();
        assertUntouched(
                PASS,
                model(
                        calling()
                                .node(
                                        "y = If(which)",
                                        n ->
                                                n.with("then_branch", then)
                                                        .with("else_branch", otherwise))
                                .output("y")));
        assertUntouched(
                PASS,
                model(calling().node("y, t = my.layers:Twice(x, which)").output("y"))
                        .withOpset("", 18));
    }

    private static OnnxNode unnamed(OnnxNode node) {
        return node.withName("");
    }

    @ParameterizedTest
    @ValueSource(strings = {"block", ""})
    @DisplayName(
            "may have nodes without names, be nested, called twice, and by a call without a name")
    void names(String name) {
        OnnxModel model =
                TestGraphs.opset(17)
                        .function(
                                "y = my.layers:Dense(x, w)",
                                TestGraphs.opset(17)
                                        .node("t = MatMul(x, w)", n -> unnamed(n))
                                        .node("u = Neg(t)", n -> unnamed(n))
                                        .node("v = Relu(u)", n -> n.withName("act"))
                                        .node("y = Softplus(v)", n -> unnamed(n)))
                        .function(
                                "y = my.layers:Nested(x, w)",
                                TestGraphs.opset(17)
                                        .node("t = my.layers:Dense(x, w)", n -> unnamed(n))
                                        .node("y = Relu(t)", n -> unnamed(n)))
                        .input("x: Float[N, 8]")
                        .weight("w", 8, 8)
                        .node("a = my.layers:Dense(x, w)", n -> n.withName(name))
                        .node("b = my.layers:Nested(a, w)", n -> n.withName(name + name))
                        .node("c = Tanh(b)", n -> n.withName("block/act"))
                        .output("c")
                        .build();

        Repaired repaired = Repair.run(model);

        assertFalse(repaired.model().hasFunctions());
        assertEquals(3, repaired.changes().get(PASS));
        assertSame(model, Repair.pass(PASS).run(model), 2, 8);
        assertSame(model, repaired.model(), 2, 8);
    }

    /** Functions of which each calls the next twice. */
    private static OnnxModel doubling(int functions) {
        TestGraphs graph = TestGraphs.opset(17).input("x: Float[N]");
        for (int i = 0; i < functions; i++) {
            String inner = i + 1 < functions ? OWN + ":F" + (i + 1) : "Neg";
            graph.function(
                    "b = %s:F%d(a)".formatted(OWN, i),
                    TestGraphs.opset(17)
                            .node("h = %s(a)".formatted(inner))
                            .node("b = %s(h)".formatted(inner)));
        }
        return graph.node("y = %s:F0(x)".formatted(OWN)).output("y: Float[N]").build();
    }

    @ParameterizedTest
    @ValueSource(ints = {20, 100})
    @DisplayName("that stand for more nodes than can be taken apart are refused before they are")
    void tooMany(int functions) {
        OnnxModel model = doubling(functions);
        String expected =
                "The model's calls of its own functions stand for %s nodes; at most 20,000 are taken apart."
                        .formatted(functions == 20 ? "1,048,576" : "countless");

        for (Executable use :
                List.<Executable>of(
                        () -> Repair.run(model),
                        () -> OnnxSession.open(model).close(),
                        () -> Lowering.lower(model))) {
            assertEquals(expected, assertThrows(EspalierException.class, use).getMessage());
        }
    }

    @Test
    @DisplayName("that call themselves, or are nested without end, are refused")
    void endless() {
        OnnxModel itself =
                TestGraphs.opset(17)
                        .input("x: Float[N]")
                        .function(
                                "b = %s:F(a)".formatted(OWN),
                                TestGraphs.opset(17).node("b = %s:F(a)".formatted(OWN)))
                        .node("y = %s:F(x)".formatted(OWN))
                        .output("y: Float[N]")
                        .build();
        TestGraphs deep = TestGraphs.opset(17).input("x: Float[N]");
        for (int i = 0; i < 5000; i++) {
            deep.function(
                    "b = %s:F%d(a)".formatted(OWN, i),
                    TestGraphs.opset(17)
                            .node("b = %s(a)".formatted(i == 4999 ? "Neg" : OWN + ":F" + (i + 1))));
        }
        OnnxModel nested = deep.node("y = %s:F0(x)".formatted(OWN)).output("y: Float[N]").build();

        assertEquals(
                "The function 'F' of the model calls itself.",
                assertThrows(EspalierException.class, () -> Repair.run(itself)).getMessage());
        assertEquals(
                "The model's functions call one another more than 200 deep.",
                assertThrows(EspalierException.class, () -> Repair.run(nested)).getMessage());
    }
}
