package io.espalier.onnx.quant.conv;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.run.OnnxSession;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.Arrays;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.SplittableRandom;

@DisplayName("What results lose by the codes of a value")
class CodeLossesTest {
    private static final AffineScale COARSE = new AffineScale(0.5f, 128);
    private static final List<Long> PADDED = List.of(1L, 1L, 1L, 1L);

    @BeforeEach
    void seed() {
        Libtorch.seed(5);
    }

    private static TestGraphs network() {
        return TestGraphs.opset(17)
                .input("x: Float[N, 3, 8, 8]")
                .weight("w0", 8, 3, 3, 3)
                .weight("w1", 8, 8, 3, 3)
                .node("a = Conv(x, w0)", n -> n.with("pads", PADDED))
                .node("b = Conv(a, w1)", n -> n.with("pads", PADDED))
                .node("y = Relu(b)");
    }

    private static List<Map<String, Tensor>> data() {
        return List.of(
                Map.of("x", Tensors.randn(8, 3, 8, 8)), Map.of("x", Tensors.randn(8, 3, 8, 8)));
    }

    private static Optional<Map<String, Double>> losses(
            OnnxModel model, List<Map<String, Tensor>> data) {
        var signs = new SplittableRandom(1);
        return CodeLosses.of(
                model,
                new LinkedHashSet<>(List.of("a", "b")),
                Map.of("a", COARSE, "b", COARSE),
                data,
                (inputs, results) -> {
                    Tensor sum = Tensors.zeros();
                    for (Tensor result : results.values()) {
                        var random = new float[Math.toIntExact(result.numel())];
                        for (int i = 0; i < random.length; i++) {
                            random[i] = signs.nextBoolean() ? 1 : -1;
                        }
                        sum = sum.add(result.mul(Tensors.of(random, Tensors.shape(result))).sum());
                    }
                    return sum;
                });
    }

    @Test
    @DisplayName("is what they lose if that value alone is rounded")
    void measured() {
        OnnxModel model = network().output("y").build();
        List<Map<String, Tensor>> data = data();

        Map<String, Double> losses = losses(model, data).orElseThrow();

        double measured = squares(model, data);
        double found = losses.getOrDefault("a", 0.0);
        // Sixteen sums with random signs: their squares' mean is off by a third.
        assertTrue(found > 0.4 * measured && found < 2 * measured, found + " of " + measured);
    }

    /** The squared difference that codes of "a" make, summed over an example. */
    private static double squares(OnnxModel model, List<Map<String, Tensor>> data) {
        OnnxModel tapped = model.copy();
        tapped.graph().addOutput("a");
        OnnxModel rest =
                TestGraphs.opset(17)
                        .input("a: Float[N, 8, 8, 8]")
                        .constant("w1", Objects.requireNonNull(model.graph().constant("w1")))
                        .node("b = Conv(a, w1)", n -> n.with("pads", PADDED))
                        .node("y = Relu(b)")
                        .output("y")
                        .build();
        double sum = 0;
        long examples = 0;
        try (var scope = new PointerScope();
                var first = OnnxSession.open(tapped);
                var second = OnnxSession.open(rest)) {
            for (Map<String, Tensor> batch : data) {
                Map<String, Tensor> exact = first.run(batch);
                Tensor values = Objects.requireNonNull(exact.get("a"));
                float[] a = Tensors.floats(values);
                for (int i = 0; i < a.length; i++) {
                    a[i] = COARSE.rounded(a[i]);
                }
                long[] shape = Tensors.shape(values);
                Map<String, Tensor> found = second.run(Map.of("a", Tensors.of(a, shape)));
                float[] expected = Tensors.floats(Objects.requireNonNull(exact.get("y")));
                float[] off = Tensors.floats(Objects.requireNonNull(found.get("y")));
                for (int i = 0; i < off.length; i++) {
                    off[i] -= expected[i];
                }
                for (float each : off) {
                    sum += (double) each * each;
                }
                examples += shape[0];
            }
        }
        return sum / examples;
    }

    @Test
    @DisplayName("is nothing that is known where libtorch can't run the model")
    void foreign() {
        OnnxModel model = network().node("z = com.microsoft:Inverse(y)").output("z").build();

        assertEquals(Optional.empty(), losses(model, data()));
    }

    @Test
    @DisplayName("is nothing that is known where libtorch refuses a call of what it runs")
    void refusedCall() {
        OnnxModel model =
                network()
                        .weight("table", 5, 2)
                        .integers("last", -1)
                        .node("index = Add(i, last)")
                        .node("row = Gather(table, index)")
                        .node("flat = ReduceMean(y)", n -> n.with("axes", List.of(1L, 2L, 3L)))
                        .node("z = Add(flat, row)")
                        .input("i: Int64[N]")
                        .output("z")
                        .build();
        List<Map<String, Tensor>> data =
                List.of(
                        Map.of(
                                "x", Tensors.randn(2, 3, 8, 8),
                                "i", Tensors.of(new long[] {9, 9}, 2)));

        assertEquals(Optional.empty(), losses(model, data));
    }

    @Test
    @DisplayName("is found where the file says nothing of an input's extents")
    void undeclared() {
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Float")
                        .weight("w0", 8, 3, 3, 3)
                        .weight("w1", 8, 8, 3, 3)
                        .node("a = Conv(x, w0)", n -> n.with("pads", PADDED))
                        .node("b = Conv(a, w1)", n -> n.with("pads", PADDED))
                        .output("b")
                        .build();

        assertEquals(Set.of("a", "b"), losses(model, data()).orElseThrow().keySet());
    }

    @Test
    @DisplayName("is the same whichever way the data come in batches")
    void batches() {
        OnnxModel model = network().output("y").build();
        Tensor x = Tensors.randn(4, 3, 8, 8);

        double together =
                losses(model, List.of(Map.of("x", x))).orElseThrow().getOrDefault("b", 0.0);
        double apart =
                losses(
                                model,
                                Arrays.stream(new int[] {0, 2})
                                        .mapToObj(i -> Map.of("x", x.narrow(0, i, 2).contiguous()))
                                        .toList())
                        .orElseThrow()
                        .getOrDefault("b", 0.0);

        assertEquals(together, apart, 1e-3 * together);
    }
}
