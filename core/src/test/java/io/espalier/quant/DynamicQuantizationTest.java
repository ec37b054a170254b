package io.espalier.quant;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.TrainedModels;
import io.espalier.nn.BatchNorm2d;
import io.espalier.nn.Conv1d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Embedding;
import io.espalier.nn.Flatten;
import io.espalier.nn.GRU;
import io.espalier.nn.LSTM;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
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
import java.util.List;
import java.util.Set;

class DynamicQuantizationTest {
    @TempDir Path directory;

    @BeforeEach
    void seed() {
        Libtorch.seed(5);
    }

    private static QConfig qconfig(String kind) {
        return switch (kind) {
            case "int8" -> QConfig.dynamic();
            case "per channel" -> QConfig.dynamicPerChannel();
            default -> QConfig.float16();
        };
    }

    private static float noise(Tensor expected, Tensor actual) {
        return actual.sub(expected).norm().item_float() / expected.norm().item_float();
    }

    @ParameterizedTest
    @ValueSource(strings = {"int8", "per channel", "float16"})
    @DisplayName(
            "Linear, LSTM and GRU compute nearly the same with small weights, saved and loaded too")
    void quantizes(String kind) {
        for (Module layer :
                List.of(
                        new LSTM(6, 8, o -> o.layers(2).bidirectional(true)),
                        new LSTM(6, 8, o -> o.bias(false)),
                        new LSTM(6, 8, o -> o.layers(2).bidirectional(true).bias(false)),
                        new GRU(6, 8, o -> o.bias(false)),
                        new Linear(6, 8))) {
            var model = new Sequential(layer);
            Tensor x = Tensors.randn(7, 3, 6);
            List<Tensor> expected = model.callAll(List.of(x));
            Sequential original = model.copy();

            Quantization.quantizeDynamic(model, qconfig(kind));

            List<Tensor> outputs = model.callAll(List.of(x));
            assertEquals(expected.size(), outputs.size());
            for (int i = 0; i < outputs.size(); i++) {
                float noise = noise(expected.get(i), outputs.get(i));
                assertTrue(noise > 0 && noise < 0.05, kind + " output " + i + ": " + noise);
            }
            Path file = directory.resolve("small.safetensors");
            Quantization.save(model, file);
            Sequential back = Quantization.load(original, file);
            assertTrue(Tensors.equal(outputs.getFirst(), back.call(x)));
            assertEquals(model.toString(), back.toString());
        }
    }

    @Test
    @DisplayName("A network starts from the state it is given")
    void takesStates() {
        Sequential model = new Sequential(new GRU(4, 5));
        Tensor x = Tensors.randn(3, 2, 4);
        Tensor h = Tensors.randn(1, 2, 5);
        Tensor expected = model.call(x, h);
        Quantization.quantizeDynamic(model);
        assertTrue(noise(expected, model.call(x, h)) < 0.05);
        assertTrue(
                messageOf(() -> model.call(x, Tensors.randn(1, 1, 5)))
                        .contains("the state must be [1, 2, 5]; it is [1, 1, 5]"));
    }

    @Test
    @DisplayName("Only the named classes are replaced; others and empty choices are errors")
    void choosesClasses() {
        Sequential model = new Sequential(new LSTM(4, 4), new Linear(4, 4));
        Quantization.quantizeDynamic(model, QConfig.dynamic(), Set.of(Linear.class));
        assertEquals(
                """
                Sequential(
                  (0): LSTM(4, 4)
                  (1): DynamicQuantizedLinear(in_features=4, out_features=4, dtype=torch.qint8, qscheme=torch.per_tensor_affine)
                )\
                """,
                model.toString());
        assertTrue(
                messageOf(() ->
                                Quantization.quantizeDynamic(
                                        model, QConfig.dynamic(), Set.of(Conv2d.class)))
                        .startsWith("No dynamic kernel for Conv2d"));
        assertTrue(
                messageOf(() -> Quantization.quantizeDynamic(new Sequential(new ReLU())))
                        .contains("has no layer to quantize dynamically"));
        assertTrue(
                messageOf(() -> Quantization.quantizeDynamic(new Linear(2, 2)))
                        .contains("put it in a Sequential"));
    }

    @Test
    @DisplayName("The float16 preset halves every weight, keeps the outputs close, saves and loads")
    void halves() throws IOException {
        Sequential model =
                TrainedModels.trained(
                        new Sequential(
                                new Conv2d(1, 32, 5),
                                new BatchNorm2d(32),
                                new ReLU(),
                                new Flatten(),
                                new Linear(32 * 16, 40)),
                        Tensors.randn(4, 1, 8, 8));
        Module original = model.copy();
        Tensor x = Tensors.randn(3, 1, 8, 8);
        Tensor expected = model.call(x);
        Path plain = directory.resolve("float.safetensors");
        model.save(plain);

        model.qconfig(QConfig.forBackend("float16"));
        Quantization.prepare(model);
        Quantization.convert(model);

        float noise = noise(expected, model.call(x));
        assertTrue(noise > 0 && noise < 2e-3, "noise " + noise);
        Path file = directory.resolve("half.safetensors");
        Quantization.save(model, file);
        assertTrue(Files.size(file) < 0.53 * Files.size(plain));
        assertTrue(Tensors.equal(model.call(x), Quantization.load(original, file).call(x)));
    }

    @Test
    @DisplayName("Values that no 16-bit float holds are refused by place, not made infinite")
    void tooLargeForHalf() {
        for (Module layer :
                List.of(
                        new Linear(3, 2),
                        new Conv1d(3, 2, 1),
                        new GRU(3, 2),
                        new Embedding(4, 3))) {
            var model = new Sequential(layer);
            model.eval();
            layer.ownParameters().values().iterator().next().detach().fill_(new Scalar(1e5));
            model.qconfig(QConfig.float16());
            Quantization.prepare(model);
            String before = model.toString();

            assertTrue(
                    messageOf(() -> Quantization.convert(model))
                            .contains("holds values beyond 65504, the largest 16-bit float"));
            assertEquals(before, model.toString());
        }
    }

    @Test
    @DisplayName("NaN and infinite weights are refused for 16 bits as they are for 8, by place")
    void notFiniteForHalf() {
        for (float bad : new float[] {Float.NaN, Float.POSITIVE_INFINITY, -1 / 0f}) {
            for (Module layer :
                    List.of(
                            new Linear(3, 2),
                            new Conv1d(3, 2, 1),
                            new GRU(3, 2),
                            new Embedding(4, 3))) {
                var model = new Sequential(layer);
                model.eval();
                String name = layer.ownParameters().firstEntry().getKey();
                layer.parameter(name).detach().select(0, 1).fill_(new Scalar(bad));
                model.qconfig(QConfig.float16());
                Quantization.prepare(model);

                String message = messageOf(() -> Quantization.convert(model));

                assertTrue(message.contains("'0." + name + "' holds values that are NaN"), message);
            }
        }
    }
}
