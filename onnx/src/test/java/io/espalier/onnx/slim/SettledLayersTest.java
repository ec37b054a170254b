package io.espalier.onnx.slim;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.inputs.Inputs;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.run.OnnxSession;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.util.Map;

/** What layers are solved for is what they get in the end. */
class SettledLayersTest {
    private static final Inputs DATA = Inputs.random().size("N", 32).batch(32).limit(32);

    /** Residual blocks, the second of which ends in a weight that is read twice. */
    private static final OnnxModel RESIDUAL =
            TestGraphs.opset(17)
                    .input("x: Float[N, 6]")
                    .weight("stem", 6, 12)
                    .weight("b0", 12)
                    .node("s0 = Gemm(x, stem, b0)")
                    .weight("in", 12, 16)
                    .weight("b1", 16)
                    .node("h = Gemm(s0, in, b1)")
                    .node("hr = Relu(h)")
                    .weight("out", 16, 12)
                    .weight("b2", 12)
                    .node("g = Gemm(hr, out, b2)")
                    .node("s1 = Add(s0, g)")
                    .weight("wide", 12, 10)
                    .weight("b3", 10)
                    .node("v = Gemm(s1, wide, b3)")
                    .node("vr = Relu(v)")
                    .node("vt = Tanh(v)")
                    .weight("twice", 10, 12)
                    .node("p = MatMul(vr, twice)")
                    .node("q = MatMul(vt, twice)")
                    .node("pq = Add(p, q)")
                    .node("s2 = Add(s1, pq)")
                    .weight("head", 12, 5)
                    .weight("b4", 5)
                    .node("y = Gemm(s2, head, b4)")
                    .output("y")
                    .build();

    /**
     * The last layer's bias makes the mean of the results what it was, on the data that it was
     * solved with.
     */
    @ParameterizedTest
    @ValueSource(strings = {"stem", "stem in", "stem wide", "stem in wide"})
    @DisplayName(
            "layers are solved for what they get in the end, whether the stream that they read gets"
                    + " narrower or what no layer weighs")
    void settled(String layers) {
        String[] some = layers.split(" ");
        SlimResult result =
                OnnxSlimmer.of(RESIDUAL)
                        .only(some)
                        .ratio(0.5)
                        .importance(Importance.secondOrder(DATA))
                        .run();

        assertEquals(
                some.length,
                result.rows().stream()
                        .filter(row -> row.left() < row.group().units().size())
                        .count());
        try (var scope = new PointerScope()) {
            Tensor before = mean(RESIDUAL);
            double apart = mean(result.model()).sub(before).abs().max().item_double();
            double largest = before.abs().max().item_double();
            assertTrue(apart < 1e-5 * largest, () -> "off by " + apart + " of " + largest);
        }
    }

    private static Tensor mean(OnnxModel model) {
        try (var session = OnnxSession.open(model, s -> s.threads(1));
                var batches = DATA.checkedFor(model).iterator()) {
            Map<String, Tensor> results = session.run(batches.next());
            return Tensors.keep(results.values().iterator().next().mean(0));
        }
    }
}
