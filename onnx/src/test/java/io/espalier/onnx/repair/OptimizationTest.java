package io.espalier.onnx.repair;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.run.PairedTime;
import io.espalier.tensor.EspalierException;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.List;
import java.util.Map;

@DisplayName("A repaired model held against the one it was made of")
class OptimizationTest {
    private static OnnxModel model() {
        return TestGraphs.opset(17)
                .input("x: Float[N, 3, ?, ?]")
                .weight("w", 8, 3, 3, 3)
                .floats("s", 0.7f)
                .node("c = Conv(x, w)", n -> n.with("strides", List.of(4L, 4L)))
                .node("y = Mul(c, s)")
                .output("y")
                .build();
    }

    private static Optimization found(double error, long bytes, double millis) {
        return new Optimization(
                new Repaired(model(), Map.of("gelu", 1)),
                error,
                1000,
                bytes,
                new PairedTime(10, millis),
                Map.of());
    }

    @Test
    @DisplayName("is tried on inputs of usual sizes, or of those that are named")
    void inputs() {
        Optimization usual = Optimization.of(model(), Repair.all(), Map.of());
        Optimization named = Optimization.of(model(), Repair.all(), Map.of("x[2]", 20, "x[3]", 30));

        assertTrue(usual.isSame());
        assertEquals(Map.of("fold-following", 1), usual.repaired().changes());
        assertEquals(List.of(1L, 3L, 224L, 224L), usual.inputs().get("x"));
        assertEquals(List.of(1L, 3L, 20L, 30L), named.inputs().get("x"));
        assertTrue(usual.bytes() < usual.originalBytes());
    }

    @Test
    @DisplayName("is tried on other sizes where it doesn't take the first")
    void otherSizes() {
        OnnxModel lines =
                TestGraphs.opset(17)
                        .input("x: Float[N, 3, ?, L]")
                        .integers("axis", 2)
                        .node("p = AveragePool(x)", n -> n.with("kernel_shape", List.of(48L, 1L)))
                        .node("y = Squeeze(p, axis)")
                        .output("y")
                        .build();

        Optimization found = Optimization.of(lines, Repair.all(), Map.of());

        assertEquals(List.of(1L, 3L, 48L, 320L), found.inputs().get("x"));
    }

    @Test
    @DisplayName("is refused where no usual size is taken, and the sentence says so")
    void noSize() {
        OnnxModel odd =
                TestGraphs.opset(17)
                        .input("x: Float[N, L]")
                        .weight("w", 17, 3)
                        .node("y = MatMul(x, w)")
                        .output("y")
                        .build();

        var error =
                assertThrows(
                        EspalierException.class,
                        () -> Optimization.of(odd, Repair.all(), Map.of()));
        assertTrue(String.valueOf(error.getMessage()).contains("name them"), error.getMessage());
        assertTrue(Optimization.of(odd, Repair.all(), Map.of("L", 17)).isSame());
    }

    @Test
    @DisplayName("is refused where a model that leaves no dimension open can't run")
    void runsNever() {
        OnnxModel broken =
                TestGraphs.opset(17)
                        .input("x: Float[1, 3, 8, 8]")
                        .weight("w", 4, 5, 1, 1)
                        .node("y = Conv(x, w)")
                        .output("y")
                        .build();

        var error =
                assertThrows(
                        EspalierException.class,
                        () -> Optimization.of(broken, Repair.all(), Map.of()));

        assertEquals(
                "The model can't run: its node 'y/Conv' (Conv) takes 3 channels, and its filters"
                        + " are for 5.",
                error.getMessage());
    }

    @Test
    @DisplayName("is objected to if it is different, larger or slower")
    void objections() {
        assertTrue(found(9e-5, 1000, 10.2).objection().isEmpty());
        assertTrue(found(2e-4, 900, 5).objection().orElse("").contains("differ by 2.0e-04"));
        assertTrue(found(0, 1001, 5).objection().orElse("").contains("larger: 1,001 bytes"));
        assertTrue(found(0, 900, 11).objection().orElse("").contains("slower: 11.000 ms"));
    }

    @Test
    @DisplayName("is tried on batches of the only size that the model takes")
    void fixedBatch() {
        OnnxModel pairs =
                TestGraphs.opset(17)
                        .input("x: Float[2, 17]")
                        .weight("w", 17, 3)
                        .node("y = MatMul(x, w)")
                        .output("y")
                        .build();

        Optimization found = Optimization.of(pairs, Repair.all(), Map.of());

        assertEquals(List.of(2L, 17L), found.inputs().get("x"));
    }

    @Test
    @DisplayName(
            "takes a size by the input's name for a dimension that has another, and no other's")
    void sizesOfDimensions() {
        OnnxModel named =
                TestGraphs.opset(17)
                        .input("x: Float[N, L]")
                        .node("y = Relu(x)")
                        .output("y")
                        .build();

        Optimization found = Optimization.of(named, Repair.all(), Map.of("x[1]", 7));

        assertEquals(List.of(1L, 7L), found.inputs().get("x"));
        var error =
                assertThrows(
                        EspalierException.class,
                        () -> Optimization.of(named, Repair.all(), Map.of("zzz", 7)));
        assertTrue(String.valueOf(error.getMessage()).contains("'zzz'"), error.getMessage());
    }
}
