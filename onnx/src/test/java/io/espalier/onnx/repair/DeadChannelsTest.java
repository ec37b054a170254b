package io.espalier.onnx.repair;

import static io.espalier.onnx.repair.Results.assertSame;
import static io.espalier.onnx.repair.Results.assertUntouched;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import java.util.Set;

@DisplayName("Channels between two layers")
class DeadChannelsTest {
    private static final String PASS = "dead-channels";

    /** Weights that are zero at these places along a dimension. */
    private static ConstantTensor weight(int axis, Set<Integer> zeros, long... extents) {
        var random = new Random(5);
        long inner = 1;
        long count = 1;
        for (int i = 0; i < extents.length; i++) {
            inner *= i > axis ? extents[i] : 1;
            count *= extents[i];
        }
        var values = new float[(int) count];
        for (int i = 0; i < values.length; i++) {
            boolean zero = zeros.contains((int) (i / inner % extents[axis]));
            values[i] = zero ? 0 : (float) random.nextGaussian();
        }
        var shape = new ArrayList<Long>();
        for (long extent : extents) {
            shape.add(extent);
        }
        return ConstantTensor.floats(shape, values);
    }

    private static OnnxNode padded(OnnxNode node) {
        return node.with("pads", List.of(1L, 1L, 1L, 1L));
    }

    private static List<Long> shapeOf(OnnxModel model, int node) {
        String weights = model.graph().nodes().get(node).input(1);
        return Objects.requireNonNull(model.graph().constant(weights)).shape();
    }

    private static TestGraphs convolutions(String between) {
        return TestGraphs.opset(17)
                .input("x: Float[N, 3, 8, 8]")
                .constant("w", weight(0, Set.of(1, 4), 7, 3, 3, 3))
                .constant("b", weight(0, Set.of(1), 7))
                .constant("v", weight(1, Set.of(6), 5, 7, 3, 3))
                .node("c = Conv(x, w, b)", DeadChannelsTest::padded)
                .node("a = " + between + "(c)")
                .node("y = Conv(a, v)", DeadChannelsTest::padded)
                .output("y");
    }

    @Test
    @DisplayName("that are always zero, or that nothing reads, go")
    void convolutions() {
        for (String between : List.of("Relu", "HardSwish", "Tanh")) {
            OnnxModel model = convolutions(between).info("c: Float[N, 7, 8, 8]").build();

            OnnxModel fewer = Repair.pass(PASS).run(model);

            assertEquals(List.of(5L, 3L, 3L, 3L), shapeOf(fewer, 0));
            assertEquals(List.of(5L, 5L, 3L, 3L), shapeOf(fewer, 2));
            assertSame(model, fewer, 2, 3, 8, 8);
        }
    }

    @Test
    @DisplayName("between matrices go, on whichever side their weights lie")
    void matrices() {
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Float[N, 3]")
                        .constant("w", weight(0, Set.of(1), 4, 3))
                        .constant("b", weight(0, Set.of(1), 4))
                        .constant("v", weight(0, Set.of(2), 4, 5))
                        .node("c = Gemm(x, w, b)", n -> n.with("transB", 1).with("beta", 2f))
                        .node("a = Relu(c)")
                        .node("y = MatMul(a, v)")
                        .output("y")
                        .build();

        OnnxModel fewer = Repair.pass(PASS).run(model);

        assertEquals(List.of(2L, 3L), shapeOf(fewer, 0));
        assertEquals(List.of(2L, 5L), shapeOf(fewer, 2));
        assertSame(model, fewer, 2, 3);
    }

    @Test
    @DisplayName("go in whole blocks where there were whole ones, as they are computed")
    void blocks() {
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Float[N, 3, 8, 8]")
                        .constant(
                                "w",
                                weight(0, Set.of(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 30), 32, 3, 1, 1))
                        .constant("v", weight(1, Set.of(12, 13, 14, 15, 16, 17, 18), 4, 32, 1, 1))
                        .node("c = Conv(x, w)")
                        .node("y = Conv(c, v)")
                        .output("y")
                        .build();

        OnnxModel fewer = Repair.pass(PASS).run(model);

        assertEquals(List.of(16L, 3L, 1L, 1L), shapeOf(fewer, 0));
        assertSame(model, fewer, 2, 3, 8, 8);
    }

    @Test
    @DisplayName("stay where zero becomes something else, or others read them")
    void kept() {
        assertUntouched(PASS, convolutions("Sigmoid").node("z = Neg(y)").output("z").build());
        assertUntouched(PASS, convolutions("Relu").output("c").build());
        assertUntouched(PASS, convolutions("Relu").node("z = Neg(a)").output("z").build());
        assertUntouched(
                PASS,
                TestGraphs.opset(17)
                        .input("x: Float[N, 4]")
                        .constant("w", weight(0, Set.of(), 4, 4))
                        .constant("v", weight(1, Set.of(), 4, 4))
                        .node("c = MatMul(x, w)")
                        .node("y = MatMul(c, v)")
                        .output("y")
                        .build());
    }
}
