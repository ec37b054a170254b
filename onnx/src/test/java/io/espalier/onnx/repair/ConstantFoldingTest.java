package io.espalier.onnx.repair;

import static io.espalier.onnx.repair.Results.assertSame;
import static io.espalier.onnx.repair.Results.assertUntouched;
import static io.espalier.onnx.repair.Results.operators;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.proto.AttributeProto;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.util.List;
import java.util.Objects;

@DisplayName("What is the same in each run")
class ConstantFoldingTest {
    private static final String PASS = "constant-folding";

    private static void folds(String left, OnnxModel model, long... shape) {
        OnnxModel folded = Repair.pass(PASS).run(model);

        assertEquals(left, operators(folded));
        assertSame(model, folded, shape);
    }

    @Test
    @DisplayName("is found behind Constant, Identity, Cast, Reshape and Transpose")
    void hiddenWeights() {
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Float[N, 4]")
                        .node(
                                "c = Constant()",
                                n ->
                                        n.with(
                                                "value",
                                                ConstantTensor.floats(
                                                        List.of(8L),
                                                        new float[] {1, -2, 3, 4, 5, 6, -7, 8})))
                        .node("i = Identity(c)")
                        .node("d = Cast(i)", n -> n.with("to", ElementType.FLOAT.code()))
                        .integers("rows", 2, 4)
                        .node("r = Reshape(d, rows)")
                        .node("w = Transpose(r)", n -> n.with("perm", List.of(1L, 0L)))
                        .node("y = MatMul(x, w)")
                        .output("y")
                        .build();

        folds("MatMul 1", model, 3, 4);
        assertEquals(
                List.of(4L, 2L),
                Objects.requireNonNull(Repair.pass(PASS).run(model).graph().constant("w")).shape());
    }

    /** A weight divided by its norm, and gates that change places. */
    private static TestGraphs computedWeights() {
        return TestGraphs.opset(18)
                .input("x: Float[N, 60]")
                .weight("v", 8, 60)
                .weight("g", 8, 1)
                .integers("one", 1)
                .node("n = ReduceL2(v, one)")
                .node("q = Div(g, n)")
                .node("w = Mul(v, q)")
                .node("h = Gemm(x, w)", n -> n.with("transB", 1))
                .weight("gates", 8, 40)
                .integers("zero", 0)
                .integers("two", 2)
                .integers("eight", 8)
                .node("a = Slice(gates, zero, two, zero)")
                .node("b = Slice(gates, two, eight, zero)")
                .node("c = Concat(b, a)", n -> n.with("axis", 0))
                .node("y = MatMul(h, c)")
                .output("y");
    }

    @Test
    @DisplayName("is a weight that several nodes compute from one that they read more than once")
    void computedFromOne() {
        folds("Gemm 1, MatMul 1", computedWeights().build(), 3, 60);
    }

    @Test
    @DisplayName("stays computed where what it is made of is needed elsewhere too")
    void computedFromShared() {
        assertUntouched(
                PASS,
                computedWeights()
                        .node("s = MatMul(h, gates)")
                        .node("t = Gemm(x, v)", n -> n.with("transB", 1))
                        .output("s")
                        .output("t")
                        .build());
    }

    @ParameterizedTest
    @ValueSource(
            strings = {"value_float 2.5", "value_floats 1 2 3", "value_int 7", "value_ints 4 5"})
    @DisplayName("is found in each kind of Constant")
    void kindsOfConstants(String value) {
        String[] words = value.split(" ", -1);
        var attribute = AttributeProto.newBuilder().setName(words[0]);
        for (int i = 1; i < words.length; i++) {
            switch (words[0]) {
                case "value_float" -> attribute.setF(Float.parseFloat(words[i]));
                case "value_floats" -> attribute.addFloats(Float.parseFloat(words[i]));
                case "value_int" -> attribute.setI(Long.parseLong(words[i]));
                default -> attribute.addInts(Long.parseLong(words[i]));
            }
        }
        attribute.setType(
                switch (words[0]) {
                    case "value_float" -> AttributeProto.AttributeType.FLOAT;
                    case "value_floats" -> AttributeProto.AttributeType.FLOATS;
                    case "value_int" -> AttributeProto.AttributeType.INT;
                    default -> AttributeProto.AttributeType.INTS;
                });
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Float[3]")
                        .node(
                                "c = Constant()",
                                n ->
                                        OnnxNode.of(
                                                n.toProto().toBuilder()
                                                        .addAttribute(attribute)
                                                        .build()))
                        .node("d = CastLike(c, x)")
                        .node("n = Shape(c)")
                        .node("e = Expand(d, n)")
                        .node("s = ReduceMean(x)", n -> n.with("keepdims", 0))
                        .node("y = Add(e, s)")
                        .output("y")
                        .build();

        OnnxModel folded = Repair.pass(PASS).run(model);

        assertEquals(0, folded.graph().nodes().stream().filter(n -> n.is("Constant")).count());
        assertSame(model, folded, 3);
    }

    @Test
    @DisplayName("stays as it is where the result would take more room than what it is made of")
    void largeResults() {
        TestGraphs graphs =
                TestGraphs.opset(17)
                        .input("x: Float[N, 64]")
                        .constant("small", bytes(64))
                        .node("w = Cast(small)", n -> n.with("to", ElementType.FLOAT.code()))
                        .node("y = Mul(x, w)")
                        .output("y");
        assertUntouched(PASS, graphs.build());

        assertUntouched(
                PASS,
                TestGraphs.opset(17)
                        .input("x: Float[N, 1000000000]")
                        .integers("million", 1_000_000_000)
                        .integers("one", 1)
                        .floats("seed", 3)
                        .node("a = Expand(seed, million)")
                        .node("b = Tile(seed, million)")
                        .node("c = ConstantOfShape(million)")
                        .node("d = Add(a, b)")
                        .node("e = Add(d, c)")
                        .node("y = Add(x, e)")
                        .output("y")
                        .build());
    }

    private static ConstantTensor bytes(int count) {
        var values = new byte[count];
        for (int i = 0; i < count; i++) {
            values[i] = (byte) i;
        }
        return ConstantTensor.bytes(ElementType.INT8, List.of((long) count), values);
    }

    @Test
    @DisplayName(
            "stays as it is where another reads the weight too, so that it would be kept twice")
    void tiedWeights() {
        assertUntouched(
                PASS,
                TestGraphs.opset(17)
                        .input("x: Int64[N]")
                        .weight("w", 100, 8)
                        .node("e = Gather(w, x)")
                        .node("t = Transpose(w)")
                        .node("y = MatMul(e, t)")
                        .output("y")
                        .build());
    }

    @Test
    @DisplayName("is not what is drawn, nor a result of the graph, nor an input with a default")
    void notConstant() {
        assertUntouched(
                PASS,
                TestGraphs.opset(17)
                        .input("x: Float[2]")
                        .input("w: Float[2]")
                        .floats("w", 1, 2)
                        .floats("v", 1, 2)
                        .node("r = RandomNormalLike(v)")
                        .node("b = Bernoulli(v)")
                        .node("n = Neg(w)")
                        .node("z = Neg(v)")
                        .node("s = Sum(r, b, n, x)")
                        .output("s")
                        .output("z")
                        .build());
    }

    @Test
    @DisplayName("of another's domain, or what the runtime refuses, stays as it is")
    void unknownOperators() {
        assertUntouched(
                PASS,
                TestGraphs.opset(17)
                        .input("x: Float[2]")
                        .floats("v", 1, 2)
                        .integers("axis", 9)
                        .node("a = com.acme:Magic(v)")
                        .node("b = Unsqueeze(v, axis)")
                        .node("y = com.acme:Join(a, b, x)")
                        .output("y")
                        .build());
    }

    @Test
    @DisplayName("is folded for graphs inside nodes too, which keep reading it")
    void captured() {
        var then = TestGraphs.opset(17).node("t = Add(w, w)").output("t: Float[2]").graph();
        var otherwise = TestGraphs.opset(17).node("f = Identity(w)").output("f: Float[2]").graph();
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Float[2]")
                        .floats("v", 1, 2)
                        .constant("zero", ConstantTensor.scalar(0))
                        .node("w = Neg(v)")
                        .node("m = ReduceMax(x)", n -> n.with("keepdims", 0))
                        .node("c = Greater(m, zero)")
                        .node("i = If(c)", n -> branches(n, then, otherwise))
                        .node("y = Add(i, x)")
                        .output("y")
                        .build();

        folds("Add 1, Greater 1, If 1, ReduceMax 1", model, 2);
    }

    private static OnnxNode branches(
            OnnxNode node,
            io.espalier.onnx.proto.GraphProto then,
            io.espalier.onnx.proto.GraphProto otherwise) {
        return OnnxNode.of(
                node.toProto().toBuilder()
                        .addAttribute(
                                AttributeProto.newBuilder()
                                        .setName("then_branch")
                                        .setType(AttributeProto.AttributeType.GRAPH)
                                        .setG(then))
                        .addAttribute(
                                AttributeProto.newBuilder()
                                        .setName("else_branch")
                                        .setType(AttributeProto.AttributeType.GRAPH)
                                        .setG(otherwise))
                        .build());
    }
}
