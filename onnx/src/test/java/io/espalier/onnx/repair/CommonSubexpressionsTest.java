package io.espalier.onnx.repair;

import static io.espalier.onnx.repair.Results.assertSame;
import static io.espalier.onnx.repair.Results.assertUntouched;
import static io.espalier.onnx.repair.Results.operators;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxModel;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

@DisplayName("What is computed or kept twice")
class CommonSubexpressionsTest {
    private static final String PASS = "common-subexpressions";

    @Test
    @DisplayName("is computed once, and so is what is computed of it")
    void joined() {
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Float[N, 4]")
                        .constant("two", ConstantTensor.scalar(2))
                        .constant("zwei", ConstantTensor.scalar(2))
                        .node("a = Mul(x, two)")
                        .node("b = Mul(x, zwei)")
                        .node("c = Relu(a)")
                        .node("d = Relu(b)")
                        .node("y = Sub(c, d)")
                        .output("y")
                        .build();

        OnnxModel joined = Repair.pass(PASS).run(model);

        assertEquals("Mul 1, Relu 1, Sub 1", operators(joined));
        assertEquals(1, joined.graph().constants().size());
        assertSame(model, joined, 3, 4);
    }

    @Test
    @DisplayName("stays twice where attributes, order or domains differ, or chance is at work")
    void different() {
        assertUntouched(
                PASS,
                TestGraphs.opset(17)
                        .input("x: Float[N, 4]")
                        .input("z: Float[N, 4]")
                        .node("a = Sub(x, z)")
                        .node("b = Sub(z, x)")
                        .node("c = Softmax(a)", n -> n.with("axis", 0))
                        .node("d = Softmax(a)", n -> n.with("axis", 1))
                        .node("e = RandomNormalLike(x)")
                        .node("f = RandomNormalLike(x)")
                        .node("g = com.acme:Draw(x)")
                        .node("h = com.acme:Draw(x)")
                        .node("y = Sum(b, c, d, e, f, g, h)")
                        .output("y")
                        .build());
    }

    @Test
    @DisplayName("stays twice where both are results of the graph; one that is keeps its name")
    void results() {
        assertUntouched(
                PASS,
                TestGraphs.opset(17)
                        .input("x: Float[N, 4]")
                        .node("a = Relu(x)")
                        .node("b = Relu(x)")
                        .output("a")
                        .output("b")
                        .build());
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Float[N, 4]")
                        .node("a = Relu(x)")
                        .node("b = Relu(x)")
                        .node("c = Neg(b)")
                        .output("a")
                        .output("c")
                        .build();

        OnnxModel joined = Repair.pass(PASS).run(model);

        assertEquals("Neg 1, Relu 1", operators(joined));
        assertSame(model, joined, 3, 4);
    }

    @Test
    @DisplayName("is kept once, if it is a constant of any size with the same type, shape and bits")
    void constants() {
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Float[N, 40]")
                        .constant(
                                "w",
                                ConstantTensor.floats(java.util.List.of(40L, 40L), new float[1600]))
                        .constant(
                                "v",
                                ConstantTensor.floats(java.util.List.of(40L, 40L), new float[1600]))
                        .constant(
                                "u",
                                ConstantTensor.floats(java.util.List.of(1600L), new float[1600]))
                        .integers("wide", 40, 40)
                        .node("a = MatMul(x, w)")
                        .node("b = MatMul(a, v)")
                        .node("r = Reshape(u, wide)")
                        .node("y = MatMul(b, r)")
                        .output("y")
                        .build();

        OnnxModel shared = Repair.pass("shared-constants").run(model);

        assertEquals(3, shared.graph().constants().size());
        assertSame(model, shared, 3, 40);
    }
}
