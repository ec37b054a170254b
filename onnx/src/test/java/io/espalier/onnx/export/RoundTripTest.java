package io.espalier.onnx.export;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.Module;
import io.espalier.onnx.RealModels;
import io.espalier.onnx.lower.LoweredModel;
import io.espalier.onnx.lower.Lowering;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.run.OnnxSession;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;

@DisplayName("There and back")
class RoundTripTest {
    static final List<EveryLayerTest.Sample> SAMPLES = EveryLayerTest.SAMPLES;

    @TempDir Path folder;

    @BeforeEach
    void seed() {
        Libtorch.seed(1);
    }

    @ParameterizedTest
    @DisplayName("a layer that is written and lowered gives what it gave")
    @FieldSource("SAMPLES")
    void layers(EveryLayerTest.Sample sample) {
        Module layer = sample.layer().get();
        layer.callAll(Arrays.asList(sample.first()));
        layer.eval();

        LoweredModel lowered = Lowering.lower(OnnxExport.of(layer, sample.first()));

        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            List<Tensor> expected = layer.callAll(List.of(sample.second()));
            List<Tensor> given = lowered.module().callAll(List.of(sample.second()));
            assertEquals(expected.size(), given.size());
            for (int i = 0; i < expected.size(); i++) {
                Exported.assertClose(expected.get(i), given.get(i), 1e-5);
            }
        }
    }

    @Test
    @DisplayName("a real model that is lowered and written gives what it gave, in as many bytes")
    void realModel() throws Exception {
        Path file = RealModels.ocr(folder);
        OnnxModel original = OnnxModel.load(file);
        LoweredModel lowered = Lowering.lower(original);
        Tensor lines = Tensors.randn(2, 3, 48, 96);

        OnnxModel written =
                OnnxExport.of(
                        lowered.module(),
                        List.of(Tensors.randn(1, 3, 48, 64)),
                        o ->
                                o.inputs(lowered.inputs().toArray(String[]::new))
                                        .outputs(lowered.outputs().toArray(String[]::new)));

        Path copy = folder.resolve("copy.onnx");
        written.save(copy);
        try (var scope = new PointerScope()) {
            Exported.assertClose(run(original, lines), run(written, lines), 1e-4);
        }
        double size = (double) Files.size(copy) / Files.size(file);
        assertTrue(size < 1.01, "size " + size);
    }

    private static Tensor run(OnnxModel model, Tensor input) {
        String name = model.graph().inputs().getFirst().getName();
        String result = model.graph().outputs().getFirst().getName();
        try (var session = OnnxSession.open(model)) {
            return Objects.requireNonNull(session.run(Map.of(name, input)).get(result));
        }
    }
}
