package io.espalier.onnx.repair;

import static io.espalier.onnx.repair.Results.assertSame;
import static io.espalier.onnx.repair.Results.assertUntouched;
import static io.espalier.onnx.repair.Results.operators;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.model.OnnxModel;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

@DisplayName("A branch")
class KnownBranchesTest {
    private static final String PASS = "branches";

    /** The second dimension is taken out if its extent is 1, as tracers write it. */
    private static OnnxModel flattening(String input, String value) {
        var squeezed =
                TestGraphs.opset(17)
                        .integers("rows", -1, 4)
                        .node("a = Reshape(" + value + ", rows)")
                        .output("a");
        var same =
                TestGraphs.opset(17).weight("w", 1).node("a = Mul(" + value + ", w)").output("a");
        return TestGraphs.opset(17)
                .input(input)
                .integer("place", 1)
                .integer("single", 1)
                .node("r = Relu(x)")
                .node("shape = Shape(r)")
                .node("extent = Gather(shape, place)")
                .node("is = Equal(extent, single)")
                .node(
                        "y = If(is)",
                        n ->
                                n.with("then_branch", squeezed.graph())
                                        .with("else_branch", same.graph()))
                .node("z = Neg(y)")
                .output("z")
                .build();
    }

    @Test
    @DisplayName("that is the same in each run takes the place of its If, under other names")
    void known() {
        OnnxModel taken = flattening("x: Float[N, 1, 4]", "r");
        OnnxModel left = flattening("x: Float[N, 3, 4]", "r");

        assertEquals(
                "Identity 1, Neg 1, Relu 1, Reshape 1", operators(Repair.pass(PASS).run(taken)));
        assertSame(taken, Repair.pass(PASS).run(taken), 2, 1, 4);
        assertSame(left, Repair.pass(PASS).run(left), 2, 3, 4);
        assertEquals("Neg 1, Relu 1, Reshape 1", operators(Repair.run(taken).model()));
    }

    @Test
    @DisplayName("stays where the input decides")
    void open() {
        assertUntouched(PASS, flattening("x: Float[N, K, 4]", "r"));
    }
}
