package io.espalier.onnx.quant.matmul;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.onnx.RealModels;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.repair.Repair;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Random;

@DisplayName("MiniLM in 8 bits")
class MiniLmTest {
    private final PointerScope scope = new PointerScope();
    private final Random random = new Random(3);

    @TempDir Path folder;

    @AfterEach
    void free() {
        scope.close();
    }

    /** Tokens between those that begin and end a sentence. */
    private Map<String, Tensor> sentences() {
        int count = 4;
        int length = 12;
        long[] ids = new long[count * length];
        long[] mask = new long[ids.length];
        for (int i = 0; i < ids.length; i++) {
            int place = i % length;
            ids[i] = place == 0 ? 101 : place == length - 1 ? 102 : 2000 + random.nextInt(20000);
            mask[i] = 1;
        }
        return Map.of(
                "input_ids", Tensors.of(ids, count, length),
                "attention_mask", Tensors.of(mask, count, length),
                "token_type_ids", Tensors.of(new long[ids.length], count, length));
    }

    @Test
    @DisplayName("is a quarter as large and gives nearly the same vectors, ranges fixed or not")
    void nearlyTheSame() {
        OnnxModel model = Repair.run(OnnxModel.load(RealModels.miniLm(folder))).model();
        List<Map<String, Tensor>> calibration = List.of(sentences(), sentences());
        Map<String, Tensor> unseen = sentences();
        float[] expected = Blocks.run(model, unseen);
        OnnxModel tables = EmbeddingQuantization.eightBit(model, List.of()).model();

        MatMulQuantization.Result dynamic = MatMulQuantization.dynamic(tables, calibration);
        MatMulQuantization.Result fixed = MatMulQuantization.fixed(tables, calibration);

        for (MatMulQuantization.Result result : List.of(dynamic, fixed)) {
            assertEquals(36, result.sites().stream().filter(SiteReport::isQuantized).count());
            assertEquals(
                    24,
                    result.sites().stream().filter(s -> s.why().contains("shifted")).count(),
                    "all that read a normalization, in each layer three and one");
            assertTrue(result.model().constantBytes() < 0.254 * model.constantBytes());
            double cosine = cosine(expected, Blocks.run(result.model(), unseen));
            assertTrue(cosine > 0.99, () -> "cosine " + cosine);
        }
    }

    private static double cosine(float[] a, float[] b) {
        double product = 0;
        double first = 0;
        double second = 0;
        for (int i = 0; i < a.length; i++) {
            product += (double) a[i] * b[i];
            first += (double) a[i] * a[i];
            second += (double) b[i] * b[i];
        }
        return product / Math.sqrt(first * second);
    }
}
