package io.espalier.onnx.lower;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.Embedding;
import io.espalier.nn.LayerNorm;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.onnx.RealModels;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import java.nio.file.Path;
import java.util.Map;
import java.util.Random;

@DisplayName("A real model on libtorch")
class RealModelsTest {
    @TempDir Path folder;

    @Test
    @DisplayName("reads text in pictures of several widths as ONNX Runtime does")
    void recognition() {
        OnnxModel model = OnnxModel.load(RealModels.ocr(folder));

        LoweredModel lowered = BothRuntimes.agree(model, Map.of("x", Tensors.randn(1, 3, 48, 64)));

        BothRuntimes.agree(lowered, model, Map.of("x", Tensors.randn(2, 3, 48, 96)));
    }

    @Test
    @DisplayName("finds text in pictures of several sizes as ONNX Runtime does")
    void detection() {
        OnnxModel model = OnnxModel.load(RealModels.detector(folder));

        LoweredModel lowered = BothRuntimes.agree(model, Map.of("x", Tensors.randn(1, 3, 64, 96)));

        BothRuntimes.agree(lowered, model, Map.of("x", Tensors.randn(2, 3, 96, 64)));
    }

    @Test
    @DisplayName(
            "embeds sentences of several lengths as ONNX Runtime does, in layers by their names")
    void embedding() {
        OnnxModel model = OnnxModel.load(RealModels.miniLm(folder));

        LoweredModel lowered = BothRuntimes.agree(model, sentences(1, 5));

        BothRuntimes.agree(lowered, model, sentences(3, 9));
        assertTrue(isA(lowered, "embeddings.word_embeddings", Embedding.class));
        assertTrue(isA(lowered, "encoder.layer.5.attention.self.query", Linear.class));
        long linear = count(lowered, Linear.class);
        assertEquals(36, linear);
        assertTrue(count(lowered, LayerNorm.class) <= 13);
    }

    private static boolean isA(LoweredModel lowered, String path, Class<? extends Module> type) {
        return type.isInstance(lowered.module().modules().get(path));
    }

    private static long count(LoweredModel lowered, Class<? extends Module> type) {
        return lowered.module().modules().values().stream().filter(type::isInstance).count();
    }

    private static Map<String, Tensor> sentences(int count, int length) {
        var random = new Random(count);
        long[] ids = random.longs((long) count * length, 0, 30_000).toArray();
        long[] mask = new long[ids.length];
        for (int i = 0; i < mask.length; i++) {
            mask[i] = i % length < length - i / length ? 1 : 0;
        }
        return Map.of(
                "input_ids", Tensors.of(ids, count, length),
                "attention_mask", Tensors.of(mask, count, length),
                "token_type_ids", Tensors.of(new long[ids.length], count, length));
    }
}
