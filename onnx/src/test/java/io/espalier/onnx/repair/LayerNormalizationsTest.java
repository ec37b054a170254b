package io.espalier.onnx.repair;

import static io.espalier.onnx.repair.Results.assertSame;
import static io.espalier.onnx.repair.Results.assertUntouched;
import static io.espalier.onnx.repair.Results.operators;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.List;
import java.util.function.UnaryOperator;

@DisplayName("A spelled-out normalization")
class LayerNormalizationsTest {
    private static final List<Long> LAST = List.of(-1L);

    private static TestGraphs graph(int opset) {
        return TestGraphs.opset(opset)
                .input("x: Float[N, L, 6]")
                .constant("two", ConstantTensor.scalar(2))
                .constant("epsilon", ConstantTensor.scalar(1e-3f))
                .weight("gamma", 6)
                .weight("beta", 6);
    }

    private static UnaryOperator<OnnxNode> over(List<Long> axes) {
        return node -> node.with("axes", axes);
    }

    private static TestGraphs normalized(int opset, List<Long> first, List<Long> second) {
        return graph(opset)
                .node("m = ReduceMean(x)", over(first))
                .node("d = Sub(x, m)")
                .node("p = Pow(d, two)")
                .node("v = ReduceMean(p)", over(second))
                .node("e = Add(v, epsilon)")
                .node("s = Sqrt(e)")
                .node("q = Div(d, s)");
    }

    private static void recognizes(String operators, OnnxModel model) {
        OnnxModel recognized = Repair.pass("layer-normalization").run(model);

        assertEquals(operators, operators(recognized));
        assertSame(model, recognized, 2, 3, 6);
    }

    @Test
    @DisplayName("is found with a scale and a shift, or a scale alone, by either sign of the axis")
    void found() {
        for (List<Long> axes : List.of(LAST, List.of(2L))) {
            recognizes(
                    "LayerNormalization 1",
                    normalized(17, axes, LAST)
                            .node("g = Mul(gamma, q)")
                            .node("y = Add(g, beta)")
                            .output("y")
                            .build());
        }
        recognizes(
                "LayerNormalization 1, Relu 1",
                normalized(17, LAST, LAST)
                        .node("g = Mul(q, gamma)")
                        .node("y = Relu(g)")
                        .output("y")
                        .build());
    }

    @Test
    @DisplayName("is found by a product for the square, a second difference and a reciprocal")
    void otherForms() {
        recognizes(
                "LayerNormalization 1",
                graph(18)
                        .integers("axes", -1)
                        .node("m = ReduceMean(x, axes)")
                        .node("d = Sub(x, m)")
                        .node("b = Sub(x, m)")
                        .node("p = Mul(d, d)")
                        .node("v = ReduceMean(p, axes)")
                        .node("e = Add(epsilon, v)")
                        .node("s = Sqrt(e)")
                        .node("r = Reciprocal(s)")
                        .node("q = Mul(b, r)")
                        .node("g = Mul(q, gamma)")
                        .node("y = Add(beta, g)")
                        .output("y")
                        .build());
    }

    @Test
    @DisplayName("is found over several last dimensions")
    void severalDimensions() {
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Float[N, 3, 6]")
                        .constant("two", ConstantTensor.scalar(2))
                        .constant("epsilon", ConstantTensor.scalar(1e-3f))
                        .weight("gamma", 1, 3, 6)
                        .node("m = ReduceMean(x)", over(List.of(-2L, -1L)))
                        .node("d = Sub(x, m)")
                        .node("p = Pow(d, two)")
                        .node("v = ReduceMean(p)", over(List.of(1L, 2L)))
                        .node("e = Add(v, epsilon)")
                        .node("s = Sqrt(e)")
                        .node("q = Div(d, s)")
                        .node("y = Mul(q, gamma)")
                        .output("y")
                        .build();

        recognizes("LayerNormalization 1", model);
    }

    @Test
    @DisplayName("is left alone over other dimensions, unequal ones, and without a scale")
    void otherAxes() {
        for (List<Long> axes : List.of(List.of(1L), List.of(1L, 2L), List.of(0L))) {
            assertUntouched(
                    "layer-normalization",
                    normalized(17, LAST, axes).node("y = Mul(q, gamma)").output("y").build());
        }
        assertUntouched(
                "layer-normalization",
                normalized(17, List.of(1L), List.of(1L))
                        .node("y = Mul(q, gamma)")
                        .output("y")
                        .build());
        assertUntouched(
                "layer-normalization",
                normalized(17, LAST, LAST).node("y = Relu(q)").output("y").build());
    }

    @Test
    @DisplayName("is left alone where the version has none, or the scale is of another shape")
    void notHere() {
        assertUntouched(
                "layer-normalization",
                normalized(16, LAST, LAST).node("y = Mul(q, gamma)").output("y").build());
        assertUntouched(
                "layer-normalization",
                normalized(17, LAST, LAST)
                        .floats("one", 0.5f)
                        .node("y = Mul(q, one)")
                        .output("y")
                        .build());
        assertUntouched(
                "layer-normalization",
                normalized(17, LAST, LAST)
                        .weight("more", 1, 1, 1, 6)
                        .node("y = Mul(q, more)")
                        .output("y")
                        .build());
    }
}
