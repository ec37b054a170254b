package io.espalier.onnx.repair;

import static io.espalier.onnx.repair.Results.assertSame;
import static io.espalier.onnx.repair.Results.assertUntouched;
import static io.espalier.onnx.repair.Results.operators;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.Objects;

@DisplayName("What is computed from shapes")
class ShapeArithmeticTest {
    private static final String PASS = "shape-arithmetic";

    private static TestGraphs graph() {
        return TestGraphs.opset(17)
                .input("x: Float[N, L, 12]")
                .integer("zero", 0)
                .integer("one", 1)
                .integer("two", 2)
                .integers("axis", 0)
                .integers("heads", 3)
                .integers("size", 4)
                .integers("rest", -1)
                .node("s = Shape(x)")
                .node("n = Gather(s, zero)")
                .node("l = Gather(s, one)")
                .node("w = Gather(s, two)")
                .node("nu = Unsqueeze(n, axis)")
                .node("lu = Unsqueeze(l, axis)")
                .node("wu = Unsqueeze(w, axis)");
    }

    private static long[] target(OnnxModel model) {
        OnnxNode reshape =
                model.graph().nodes().stream()
                        .filter(n -> n.is("Reshape"))
                        .findFirst()
                        .orElseThrow();
        return Objects.requireNonNull(model.graph().constant(reshape.input(1))).toLongs();
    }

    @Test
    @DisplayName("is a constant where no run can change it")
    void known() {
        OnnxModel model =
                graph().node("f = Cast(w)", n -> n.with("to", ElementType.FLOAT.code()))
                        .node("y = Mul(x, f)")
                        .output("y")
                        .build();

        OnnxModel computed = Repair.pass(PASS).run(model);

        assertEquals("Cast 1, Mul 1", operators(computed));
        assertSame(model, computed, 2, 5, 12);
    }

    @Test
    @DisplayName("for a Reshape becomes what it copies and what it finds itself")
    void reshapes() {
        OnnxModel model =
                graph().node("t = Concat(nu, lu, heads, size)", n -> n.with("axis", 0))
                        .node("y = Reshape(x, t)")
                        .output("y")
                        .build();
        OnnxModel computed = Repair.pass(PASS).run(model);
        assertEquals("Reshape 1", operators(computed));
        assertArrayEquals(new long[] {0, 0, 3, 4}, target(computed));
        assertSame(model, computed, 2, 5, 12);

        OnnxModel flat =
                graph().node("p = Mul(nu, lu)")
                        .node("t = Concat(p, wu)", n -> n.with("axis", 0))
                        .node("y = Reshape(x, t)")
                        .output("y")
                        .build();
        OnnxModel found = Repair.pass(PASS).run(flat);
        assertArrayEquals(new long[] {-1, 12}, target(found));
        assertSame(flat, found, 2, 5, 12);
    }

    @Test
    @DisplayName("for a Reshape stays where two extents would have to be found")
    void twoUnknown() {
        OnnxModel model =
                graph().node("t = Concat(lu, nu, wu)", n -> n.with("axis", 0))
                        .node("y = Reshape(x, t)")
                        .output("y")
                        .build();

        OnnxModel computed = Repair.pass(PASS).run(model);

        assertEquals(1, computed.graph().nodes().stream().filter(n -> n.is("Concat")).count());
        assertSame(model, computed, 2, 5, 12);
    }

    @Test
    @DisplayName("stays where a run decides, and where the graph gives it")
    void unknown() {
        assertUntouched(
                PASS,
                TestGraphs.opset(17)
                        .input("x: Float[N, 3]")
                        .node("y = Shape(x)")
                        .output("y")
                        .build());
        assertUntouched(
                PASS,
                TestGraphs.opset(17)
                        .input("x: Float[4, 3]")
                        .constant("w", ConstantTensor.scalar(1))
                        .node("y = Shape(x)")
                        .output("y")
                        .build());
    }
}
