package io.espalier.onnx;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.espalier.onnx.inputs.Inputs;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.quant.QuantizationMode;
import io.espalier.onnx.quant.Quantizer;
import io.espalier.onnx.run.OnnxSession;
import io.espalier.onnx.serve.CompressedModel;
import io.espalier.onnx.serve.NumberArray;
import io.espalier.onnx.slim.OnnxSlimmer;
import io.espalier.onnx.tune.FineTuner;
import io.espalier.onnx.tune.OnnxPruner;
import io.espalier.tensor.EspalierException;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import java.nio.file.Path;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;

@DisplayName("Null")
class NullsTest {
    @TempDir Path folder;

    @Test
    @SuppressWarnings("NullAway") // what users do
    @DisplayName("is refused with what is needed in its place")
    void isRefused() {
        OnnxModel model =
                TestGraphs.opset(17).input("x: Float[N]").node("y = Relu(x)").output("y").build();
        Path file = folder.resolve("m.onnx");
        model.save(file);
        Inputs data = Inputs.random();
        Quantizer quantizer = Quantizer.auto();
        FineTuner tuner = FineTuner.byLabels();
        Map<String, Runnable> wrong = new LinkedHashMap<>();

        try (var serving = CompressedModel.load(file)) {
            wrong.put("the input", () -> serving.run((NumberArray) null));
            var nothing = new HashMap<String, NumberArray>();
            nothing.put("x", null);
            wrong.put("the input 'x'", () -> serving.runArrays(nothing));
            wrong.put("the numbers", () -> NumberArray.of((float[]) null, 1));
            wrong.put("their shape", () -> NumberArray.of(new long[] {1}, (long[]) null));
            wrong.put(
                    "the function that sets the settings", () -> CompressedModel.load(file, null));
            wrong.put("the runtime", () -> CompressedModel.load(file, with -> with.runtime(null)));
            wrong.put("the file to load", () -> OnnxModel.load(null));
            wrong.put("the file to write", () -> model.save(null));
            wrong.put("the mode", () -> Quantizer.of(null));
            wrong.put("the recipe", () -> quantizer.recipe(null));
            wrong.put("the layers to keep float", () -> quantizer.keepFloat((String[]) null));
            wrong.put("number 2 of the layers to keep float", () -> quantizer.keepFloat("a", null));
            wrong.put("the journal's file", () -> quantizer.journal(null));
            wrong.put("the listener", () -> quantizer.progress(null));
            wrong.put("the model", () -> quantizer.quantize(null, data));
            wrong.put(
                    "the data", () -> Quantizer.of(QuantizationMode.DYNAMIC).quantize(model, null));
            wrong.put("the teacher", () -> FineTuner.distilling(null));
            wrong.put("the task", () -> FineTuner.byLabels(null));
            wrong.put("the folder of checkpoints", () -> tuner.checkpoints(null, false));
            wrong.put("the folder", () -> Inputs.images(null));
            wrong.put("the file of lines", () -> Inputs.text(null, file));
            wrong.put("the tokenizer", () -> Inputs.text(file, null));
            wrong.put("the file or folder", () -> Inputs.arrays(null));
            wrong.put("the layers to keep", () -> OnnxPruner.l1(0.5).keep((String[]) null));
            wrong.put(
                    "number 1 of the layers to keep", () -> OnnxPruner.l1(0.5).keep((String) null));
            wrong.forEach((what, action) ->
                    assertEquals(
                            "Null was given for " + what + ", where a value is needed.",
                            assertThrows(EspalierException.class, action::run).getMessage()));
            assertThrows(EspalierException.class, () -> OnnxSession.open((OnnxModel) null));
            assertThrows(EspalierException.class, () -> OnnxSlimmer.of(null));
            assertThrows(EspalierException.class, () -> OnnxPruner.l1(0.5).prune(null));
            assertThrows(EspalierException.class, () -> Inputs.of(null));
            assertThrows(EspalierException.class, () -> CompressedModel.load(file, with -> null));
            assertThrows(EspalierException.class, () -> quantizer.quantizeForLibtorch(model, null));
            assertThrows(EspalierException.class, () -> tuner.tune(model, null));
        }
    }
}
