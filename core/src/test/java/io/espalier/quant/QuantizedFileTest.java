package io.espalier.quant;

import static io.espalier.Errors.messageOf;
import static io.espalier.quant.StaticQuantizationTest.batch;
import static io.espalier.quant.StaticQuantizationTest.converted;
import static io.espalier.quant.StaticQuantizationTest.fuse;
import static io.espalier.quant.StaticQuantizationTest.network;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.BatchNorm2d;
import io.espalier.nn.Flatten;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.Sequential;
import io.espalier.state.SafeTensors;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;

class QuantizedFileTest {
    @TempDir Path directory;

    @BeforeEach
    void seed() {
        Libtorch.seed(3);
    }

    @ParameterizedTest
    @ValueSource(strings = {"fbgemm", "qnnpack"})
    @DisplayName(
            "A saved model of a quarter of the size loads into its float architecture and computes"
                    + " the same")
    void savesAndLoads(String backend) throws IOException {
        Sequential original = network();
        Path plain = directory.resolve("float.safetensors");
        original.save(plain);
        Sequential model = converted(original.<Sequential>copy(), backend);
        Path file = directory.resolve("int8.safetensors");

        Quantization.save(model, file);
        Sequential back = Quantization.load(network(), file);

        Tensor x = batch();
        assertTrue(Tensors.equal(model.call(x), back.call(x)));
        assertEquals(model.toString(), back.toString());
        assertTrue(Files.size(file) < 0.45 * Files.size(plain), "header and all");
    }

    @Test
    @DisplayName("A loaded model is in inference mode, whatever the float architecture's")
    void inferenceMode() {
        var model = new Sequential(new BatchNorm2d(3), new Flatten(), new Linear(12, 2));
        model.call(Tensors.randn(8, 3, 2, 2));
        Module fresh = new Sequential(new BatchNorm2d(3), new Flatten(), new Linear(12, 2));
        model.eval();
        Quantization.quantizeDynamic(model);
        Path file = directory.resolve("dynamic.safetensors");
        Quantization.save(model, file);

        Module back = Quantization.load(fresh, file);

        Tensor x = Tensors.randn(4, 3, 2, 2);
        assertTrue(Tensors.equal(model.call(x), back.call(x)));
        assertTrue(fresh.isTraining());
    }

    @Test
    @DisplayName("A fused layer left in float is saved and loaded too")
    void savesFusedFloats() {
        Sequential model = network();
        fuse(model);
        model.qconfig(QConfig.forBackend("x86"));
        model.module("0").qconfig(null);
        Quantization.prepare(model);
        model.call(batch());
        Quantization.convert(model);
        Path file = directory.resolve("mixed.safetensors");
        Quantization.save(model, file);
        Tensor x = batch();
        assertTrue(Tensors.equal(model.call(x), Quantization.load(network(), file).call(x)));
    }

    @Test
    @DisplayName("A loaded state repacks the weights")
    void repacks() {
        Sequential one = converted(network(), "x86");
        Sequential other = one.copy();
        Map<String, Tensor> state = new LinkedHashMap<>(one.stateDict());
        state.computeIfPresent("7.bias", (name, bias) -> bias.add(new Scalar(1.0)));
        Tensor x = batch();
        Tensor before = other.call(x);
        other.loadStateDict(state);
        assertFalse(Tensors.equal(before, other.call(x)));
        assertTrue(Tensors.equal(before, one.call(x)));
    }

    @Test
    @DisplayName("Files that hold no quantized model, or one of another version, are clear errors")
    void refusesOtherFiles() {
        Path plain = directory.resolve("plain.safetensors");
        network().save(plain);
        assertTrue(
                messageOf(() -> Quantization.load(network(), plain))
                        .contains("holds no quantized model"));
        SafeTensors.write(
                plain,
                Map.of(),
                Map.of("espalier.quantized", "{}", "espalier.quantized.version", "9"));
        assertTrue(messageOf(() -> Quantization.load(network(), plain)).contains("of version 9"));
        assertTrue(
                messageOf(() -> Quantization.save(network(), plain))
                        .contains("has no quantized layer"));
        Path file = directory.resolve("int8.safetensors");
        Quantization.save(converted(network(), "x86"), file);
        SafeTensors.Contents contents = SafeTensors.read(file);
        Map<String, String> broken = new LinkedHashMap<>(contents.metadata());
        broken.replaceAll((name, text) -> text.replace("\"stride\":\"1,1\"", "\"stride\":\"one\""));
        SafeTensors.write(plain, contents.tensors(), broken);
        assertTrue(
                messageOf(() -> Quantization.load(network(), plain))
                        .contains("describes the layer at '0' in a form that can't be read"));
        assertTrue(
                messageOf(() -> Quantization.load(new Sequential(new Linear(1, 1)), file))
                        .contains("at '0', where the model has Linear(in_features=1"));
    }
}
