package io.espalier.state;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.state.StoredTensor.Kind;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.stream.Collectors;

@DisplayName("A saved model")
class SavedModelTest {
    @TempDir Path directory;

    private SavedModel saved(Map<String, Tensor> tensors, Map<String, String> metadata) {
        Path file = directory.resolve("t.safetensors");
        SafeTensors.write(file, tensors, metadata);
        return SavedModel.read(file);
    }

    private static Map<String, Tensor> named(String... names) {
        var tensors = new LinkedHashMap<String, Tensor>();
        for (String name : names) {
            tensors.put(name, Tensors.ones(2));
        }
        return tensors;
    }

    private static Map<String, Kind> kinds(SavedModel model) {
        return model.tensors().stream()
                .collect(Collectors.toMap(StoredTensor::name, StoredTensor::kind));
    }

    @ParameterizedTest
    @DisplayName("has its zeros counted in every element type, minus zero among them")
    @EnumSource(
            names = {"Double", "Float", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte"})
    void everyType(ScalarType type) {
        Tensor values = Tensors.of(0f, -0f, 1f, 0f, 5f).to(type);

        assertEquals(3, saved(Map.of("t", values), Map.of()).tensors().getFirst().zeros());
    }

    @Test
    @DisplayName("may have tensors that are larger than one window")
    void largeTensor() {
        int count = (1 << 20) + 7;
        float[] values = new float[count];
        Arrays.fill(values, 0, count - 3, 1f);

        assertEquals(3.0 / count, saved(Map.of("t", Tensors.of(values)), Map.of()).sparsity());
    }

    @Test
    @DisplayName("counts what its mask leaves out, and both their bytes, as one parameter")
    void mask() {
        SavedModel model =
                saved(
                        Map.of("w_orig", Tensors.of(0, 1, 2, 3), "w_mask", Tensors.of(1, 0, 0, 1)),
                        Map.of());

        StoredTensor weight = model.tensors().getFirst();
        assertEquals(1, model.tensors().size());
        assertEquals("w", weight.name());
        assertEquals(Kind.MASKED, weight.kind());
        assertEquals(32, weight.bytes());
        assertEquals(4, model.parameters());
        assertEquals(0.75, model.sparsity());
    }

    @Test
    @DisplayName("does not count buffers, counters, and scales with their zero points")
    void kinds() {
        Map<String, Tensor> tensors =
                named("w", "bn.running_mean", "added_scale", "added_zero_point", "layer.scale");
        tensors.put("steps", Tensors.zeros(ScalarType.Long, 2));

        SavedModel model = saved(tensors, Map.of());

        assertEquals(
                Map.of(
                        "w", Kind.PARAMETER,
                        "layer.scale", Kind.PARAMETER,
                        "bn.running_mean", Kind.BUFFER,
                        "steps", Kind.BUFFER,
                        "added_scale", Kind.SETTING,
                        "added_zero_point", Kind.SETTING),
                kinds(model));
        assertEquals(4, model.parameters());
        assertEquals(16, model.bytes(Kind.SETTING));
    }

    @Test
    @DisplayName("is the model of a checkpoint, not what training keeps beside it")
    void checkpoint() {
        SavedModel model =
                saved(
                        named("model.w", "best.w", "optimizer.0.0.exp_avg", "generator"),
                        Map.of("espalier.checkpoint", "{}"));

        assertEquals(
                Map.of(
                        "model.w", Kind.PARAMETER,
                        "best.w", Kind.BEST,
                        "optimizer.0.0.exp_avg", Kind.OPTIMIZER,
                        "generator", Kind.GENERATOR),
                kinds(model));
        assertEquals(2, model.parameters());
    }

    @Test
    @DisplayName("is a file, no directory and no device")
    @EnabledOnOs(OS.LINUX)
    void noFile() {
        for (Path place : new Path[] {directory, Path.of("/dev/zero")}) {
            var error = assertThrows(EspalierException.class, () -> SavedModel.read(place));
            assertTrue(
                    String.valueOf(error.getMessage())
                            .startsWith("Can't read " + place + ": it is a "));
        }
    }

    @Test
    @DisplayName("is refused where its data are not those that were saved")
    void damaged(@TempDir Path other) throws IOException {
        Path file = other.resolve("damaged.safetensors");
        StateFile.write(file, Map.of("w", Tensors.ones(100)), Map.of());
        byte[] bytes = Files.readAllBytes(file);
        bytes[bytes.length - 30] ^= 1;
        Files.write(file, bytes);

        String message = messageOf(() -> SavedModel.read(file));
        assertTrue(message.contains("is damaged: the data of 'w'"), message);
    }
}
