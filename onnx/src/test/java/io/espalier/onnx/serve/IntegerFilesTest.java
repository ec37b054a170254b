package io.espalier.onnx.serve;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import static java.util.Objects.requireNonNull;

import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.inputs.Inputs;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.quant.QuantizationMode;
import io.espalier.onnx.quant.Quantizer;
import io.espalier.onnx.run.ModelRuntime;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.UnaryOperator;

@DisplayName("A quantized ONNX file on libtorch")
class IntegerFilesTest {
    /** Of the largest number: an integer that is one more here and there changes so much. */
    private static final float SHARE = 0.02f;

    @TempDir Path folder;

    @ParameterizedTest(name = "{0}, portable {1}, {2}")
    @CsvSource({
        "STATIC, false, QLinearConv",
        "STATIC, true, QuantizeLinear",
        "WEIGHT_ONLY, false, Cast"
    })
    @DisplayName("gives what ONNX Runtime gives, of convolutions of each kind")
    void pictures(QuantizationMode mode, boolean portable, String operator) {
        Quantizer quantizer = Quantizer.of(mode).threads(1);

        assertSame(
                convolutions(),
                portable ? quantizer.portable() : quantizer,
                operator,
                Map.of("x", Tensors.randn(3, 3, 16, 16)));
    }

    @ParameterizedTest(name = "{0}, {1} bits, {2}")
    @CsvSource({
        "STATIC, 8, MatMulIntegerToFloat",
        "DYNAMIC, 8, DynamicQuantizeLinear",
        "WEIGHT_ONLY, 4, MatMulNBits",
        "FLOAT16, 8, Cast"
    })
    @DisplayName("gives what ONNX Runtime gives, of tables and products")
    void text(QuantizationMode mode, int bits, String operator) {
        Quantizer quantizer = Quantizer.of(mode).threads(1);
        long[] ids = new Random(3).longs(20, 0, 1000).toArray();

        assertSame(
                products(),
                bits == 4 ? quantizer.bits(4).blockSize(16) : quantizer,
                operator,
                Map.of("x", Tensors.of(ids, 4, 5)));
    }

    @ParameterizedTest(name = "{0}")
    @CsvSource({"WEIGHT_ONLY", "FLOAT16"})
    @DisplayName("gives what ONNX Runtime gives, of recurrent layers whose weights are stored")
    void recurrent(QuantizationMode mode) {
        assertSame(
                recurrentLayers(),
                Quantizer.of(mode).threads(1),
                "Cast",
                Map.of("x", Tensors.randn(5, 2, 24)));
    }

    private void assertSame(
            OnnxModel model, Quantizer quantizer, String operator, Map<String, Tensor> input) {
        Path file = folder.resolve("small.onnx");
        quantizer.quantize(model, Inputs.of(List.of(input))).model().save(file);
        assertTrue(
                OnnxModel.load(file).graph().nodes().stream()
                        .anyMatch(node -> node.op().equals(operator)),
                operator);

        try (var scope = new PointerScope();
                var first = CompressedModel.load(file);
                var second = CompressedModel.load(file, s -> s.runtime(ModelRuntime.LIBTORCH))) {
            assertEquals(ModelRuntime.LIBTORCH, second.runtime());
            float[] wanted = Tensors.floats(requireNonNull(first.run(input).get("y")));
            float[] found = Tensors.floats(requireNonNull(second.run(input).get("y")));
            float largest = 0;
            for (float number : wanted) {
                largest = Math.max(largest, Math.abs(number));
            }
            assertArrayEquals(wanted, found, SHARE * largest);
        }
    }

    /** Convolutions with activations, sums, gates, pools and values put together. */
    private static OnnxModel convolutions() {
        UnaryOperator<OnnxNode> padded = node -> node.with("pads", List.of(1L, 1L, 1L, 1L));
        return TestGraphs.opset(17)
                .input("x: Float[N, 3, 16, 16]")
                .weight("w1", 16, 3, 3, 3)
                .weight("b1", 16)
                .node("c1 = Conv(x, w1, b1)", padded)
                .node("r1 = Relu(c1)")
                .weight("w2", 16, 1, 3, 3)
                .node("c2 = Conv(r1, w2)", node -> padded.apply(node).with("group", 16))
                .node("s2 = Sigmoid(c2)")
                .node("r2 = Mul(c2, s2)")
                .node("a = Add(r1, r2)")
                .node("p = MaxPool(a)", node -> window(node))
                .weight("w3", 16, 16, 1, 1)
                .node("c3 = Conv(p, w3)")
                .node("h3 = HardSigmoid(c3)", node -> node.with("alpha", 1f / 6))
                .node("r3 = Mul(c3, h3)")
                .node("m = AveragePool(a)", node -> window(node))
                .node("j = Concat(r3, m)", node -> node.with("axis", 1))
                .weight("w4", 24, 32, 1, 1)
                .node("c4 = Conv(j, w4)")
                .node("g = GlobalAveragePool(c4)")
                .node("f = Flatten(g)")
                .weight("w5", 24, 48)
                .node("y = MatMul(f, w5)")
                .output("y: Float[N, 48]")
                .build();
    }

    private static OnnxNode window(OnnxNode node) {
        return node.with("kernel_shape", List.of(2L, 2L)).with("strides", List.of(2L, 2L));
    }

    private static OnnxModel recurrentLayers() {
        return TestGraphs.opset(17)
                .input("x: Float[L, N, 24]")
                .weight("w1", 1, 64, 24)
                .weight("r1", 1, 64, 16)
                .weight("b1", 1, 128)
                .node("s1 = LSTM(x, w1, r1, b1)", node -> node.with("hidden_size", 16))
                .integers("axis", 1)
                .node("h1 = Squeeze(s1, axis)")
                .weight("w2", 1, 72, 16)
                .weight("r2", 1, 72, 24)
                .node(
                        "s2 = GRU(h1, w2, r2)",
                        node -> node.with("hidden_size", 24).with("linear_before_reset", 1))
                .node("y = Squeeze(s2, axis)")
                .output("y: Float[L, N, 24]")
                .build();
    }

    private static OnnxModel products() {
        return TestGraphs.opset(17)
                .input("x: Int64[N, L]")
                .weight("table", 1024, 32)
                .node("e = Gather(table, x)")
                .weight("g", 32)
                .weight("c", 32)
                .node("n = LayerNormalization(e, g, c)")
                .weight("w1", 32, 64)
                .weight("b1", 64)
                .node("p1 = MatMul(n, w1)")
                .node("a1 = Add(p1, b1)")
                .node("r1 = Relu(a1)")
                .weight("w2", 64, 32)
                .node("p2 = MatMul(r1, w2)")
                .node("y = Add(p2, n)")
                .output("y: Float[N, L, 32]")
                .build();
    }
}
