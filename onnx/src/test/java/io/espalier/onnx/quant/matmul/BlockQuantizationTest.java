package io.espalier.onnx.quant.matmul;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

import java.util.List;
import java.util.Map;

@DisplayName("Products with 4-bit matrices")
class BlockQuantizationTest {
    private final PointerScope scope = new PointerScope();

    @AfterEach
    void free() {
        scope.close();
    }

    private static BlockSettings settings(int block, RoundingMethod rounding) {
        return new BlockSettings(block, rounding, List.of());
    }

    private static MatMulQuantization.Result quantized(
            OnnxModel model, List<Map<String, Tensor>> data, RoundingMethod rounding) {
        return BlockQuantization.of(model, data, settings(32, rounding));
    }

    @ParameterizedTest
    @EnumSource
    @DisplayName("give nearly what they gave, their vectors and residuals too")
    void nearlyTheSame(RoundingMethod rounding) {
        OnnxModel model = Blocks.postNorm().build();
        List<Map<String, Tensor>> data = Blocks.data(8, 4, 16, Blocks.WIDTH);
        Map<String, Tensor> unseen = Blocks.data(9, 3, 5, Blocks.WIDTH).getLast();

        MatMulQuantization.Result result = quantized(model, data, rounding);

        assertEquals(2, Blocks.count(result.model(), "MatMulNBits"));
        assertEquals(0, Blocks.count(result.model(), "MatMul"));
        assertTrue(result.sites().stream().allMatch(site -> site.bits() == 4));
        double error = Blocks.error(Blocks.run(model, unseen), Blocks.run(result.model(), unseen));
        assertTrue(error < 0.12, () -> "error " + error);
    }

    @Test
    @DisplayName("lose less by GPTQ than to nearest")
    void gptqIsBetter() {
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Float[N, 64]")
                        .weight("w", 64, 48)
                        .node("y = MatMul(x, w)")
                        .output("y")
                        .build();
        Tensor mixing = Tensors.randn(16, 64);
        List<Map<String, Tensor>> data =
                List.of(Map.of("x", Tensors.randn(300, 16).matmul(mixing)));
        Map<String, Tensor> unseen = Map.of("x", Tensors.randn(50, 16).matmul(mixing));
        float[] expected = Blocks.run(model, unseen);

        double gptq =
                Blocks.error(
                        expected,
                        Blocks.run(quantized(model, data, RoundingMethod.GPTQ).model(), unseen));
        double nearest =
                Blocks.error(
                        expected,
                        Blocks.run(quantized(model, data, RoundingMethod.NEAREST).model(), unseen));

        assertTrue(gptq < 0.6 * nearest, () -> gptq + " and " + nearest);
    }

    @ParameterizedTest
    @ValueSource(longs = {17, 31, 33, 40, 63, 65, 100})
    @DisplayName("are right where rows are no whole number of blocks")
    void oddRows(long rows) {
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Float[N, " + rows + "]")
                        .weight("w", rows, 19)
                        .weight("b", 19)
                        .node("m = MatMul(x, w)")
                        .node("y = Add(m, b)")
                        .output("y")
                        .build();
        for (int block : new int[] {16, 32, 64, 128, 256}) {
            for (int batch : new int[] {1, 7}) {
                Map<String, Tensor> x = Map.of("x", Tensors.randn(batch, rows));

                OnnxModel found =
                        BlockQuantization.of(
                                        model, List.of(x), settings(block, RoundingMethod.NEAREST))
                                .model();

                double error = Blocks.error(Blocks.run(model, x), Blocks.run(found, x));
                assertTrue(error < 0.2, () -> "blocks of " + block + ": " + error);
            }
        }
    }

    @Test
    @DisplayName("may be Gemms, transposed and scaled")
    void gemms() {
        OnnxModel model = Blocks.gemms();
        List<Map<String, Tensor>> data = Blocks.data(4, 64, Blocks.WIDTH);

        MatMulQuantization.Result result = quantized(model, data, RoundingMethod.GPTQ);

        assertEquals(2, Blocks.count(result.model(), "MatMulNBits"));
        double error =
                Blocks.error(
                        Blocks.run(model, data.getFirst()),
                        Blocks.run(result.model(), data.getFirst()));
        assertTrue(error < 0.12, () -> "error " + error);
    }

    @Test
    @DisplayName("store a matrix once that several are computed with")
    void shared() {
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Float[N, 32]")
                        .weight("w", 32, 32)
                        .weight("b", 32)
                        .node("a = MatMul(x, w)")
                        .node("c = Add(a, b)")
                        .node("r = Relu(c)")
                        .node("y = MatMul(r, w)")
                        .output("y")
                        .build();
        List<Map<String, Tensor>> data = Blocks.data(4, 64, 32);

        MatMulQuantization.Result result = quantized(model, data, RoundingMethod.GPTQ);

        assertEquals(2, Blocks.count(result.model(), "MatMulNBits"));
        assertEquals(
                1,
                result.model().graph().constants().values().stream()
                        .filter(constant -> constant.shape().size() == 3)
                        .count());
        double error =
                Blocks.error(
                        Blocks.run(model, data.getFirst()),
                        Blocks.run(result.model(), data.getFirst()));
        assertTrue(error < 0.2, () -> "error " + error);
    }

    @Test
    @DisplayName("leave alone what is kept, too small, not finite, or of one dimension")
    void left() {
        var broken = new float[32 * 32];
        broken[3] = Float.POSITIVE_INFINITY;
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Float[4, 32]")
                        .input("v: Float[32]")
                        .weight("w1", 32, 32)
                        .weight("w2", 32, 8)
                        .constant("w3", ConstantTensor.floats(List.of(32L, 32L), broken))
                        .weight("w4", 32, 32)
                        .node("a = MatMul(x, w1)")
                        .node("b = MatMul(x, w2)")
                        .node("c = MatMul(x, w3)")
                        .node("d = MatMul(v, w4)")
                        .output("a")
                        .output("b")
                        .output("c")
                        .output("d")
                        .build();
        List<Map<String, Tensor>> data =
                List.of(Map.of("x", Tensors.randn(4, 32), "v", Tensors.randn(32)));

        MatMulQuantization.Result result =
                BlockQuantization.of(
                        model, data, new BlockSettings(32, RoundingMethod.GPTQ, List.of("a/*")));

        assertEquals(4, Blocks.count(result.model(), "MatMul"));
        String reports = result.sites().toString();
        for (String why :
                List.of(
                        "kept float as asked",
                        "too small",
                        "not finite",
                        "its input has one dimension")) {
            assertTrue(reports.contains(why), reports);
        }
    }

    @Test
    @DisplayName("refuse blocks that the runtime has no kernel for")
    void refusesBlocks() {
        for (int block : new int[] {0, 8, 48, 512}) {
            var refusal =
                    assertThrows(
                            EspalierException.class, () -> settings(block, RoundingMethod.GPTQ));
            assertEquals(
                    "A block has 16, 32, 64, 128 or 256 numbers, not " + block + ".",
                    refusal.getMessage());
        }
    }
}
