package io.espalier.onnx.shape;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.onnx.RealModels;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import java.nio.file.Path;
import java.util.Map;

@DisplayName("Extents of a real model, computed for a size, are those of every value in a run:")
class RealShapesTest {
    @TempDir Path folder;

    @Test
    @DisplayName("text recognition")
    void ocr() {
        OnnxModel model = OnnxModel.load(RealModels.ocr(folder));
        check(model, Map.of("x", Tensors.randn(1, 3, 48, 64)));
        check(model, Map.of("x", Tensors.randn(2, 3, 48, 100)));
    }

    @Test
    @DisplayName("text detection")
    void detector() {
        OnnxModel model = OnnxModel.load(RealModels.detector(folder));
        check(model, Map.of("x", Tensors.randn(1, 3, 64, 96)));
        check(model, Map.of("x", Tensors.randn(2, 3, 32, 64)));
    }

    @Test
    @DisplayName("sentence embedding")
    void miniLm() {
        OnnxModel model = OnnxModel.load(RealModels.miniLm(folder));
        check(model, tokens(1, 7));
        check(model, tokens(3, 12));
    }

    private static void check(OnnxModel model, Map<String, Tensor> inputs) {
        try (var scope = new PointerScope()) {
            int compared = ActualShapes.check(model, inputs);
            assertTrue(compared > 100, "only " + compared + " values");
        }
    }

    private static Map<String, Tensor> tokens(long batch, long length) {
        return Map.of(
                "input_ids", Tensors.ones(batch, length).to(ScalarType.Long),
                "attention_mask", Tensors.ones(batch, length).to(ScalarType.Long),
                "token_type_ids", Tensors.zeros(ScalarType.Long, batch, length));
    }
}
