package io.espalier.quant;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.Linear;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.quant.observer.MinMaxObserver;
import io.espalier.quant.observer.PerChannelMinMaxObserver;
import io.espalier.quant.observer.Qscheme;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

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
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Random;

@DisplayName("Quantization used wrongly")
class QuantizationErrorsTest {
    @TempDir Path directory;

    private Sequential model;
    private Tensor x;

    @BeforeEach
    void make() {
        Libtorch.seed(3);
        model = network();
        x = Tensors.randn(8, 6);
    }

    private static Sequential network() {
        var made = new Sequential(new Linear(6, 5), new ReLU(), new Linear(5, 4));
        made.eval();
        return made;
    }

    /** One line that says all the words, after which the model is as it was. */
    private void refuses(Runnable wrong, String... words) {
        String tree = model.toString();
        var state = new LinkedHashMap<String, String>();
        model.stateDict().forEach((name, tensor) -> state.put(name, Tensors.toString(tensor)));

        String message = messageOf(wrong::run);

        assertEquals(1, message.lines().count(), message);
        for (String word : words) {
            assertTrue(message.contains(word), message);
        }
        assertEquals(tree, model.toString());
        assertEquals(List.copyOf(state.keySet()), List.copyOf(model.stateDict().keySet()));
        model.stateDict()
                .forEach((name, tensor) ->
                        assertEquals(state.get(name), Tensors.toString(tensor), name));
    }

    private Sequential converted() {
        Sequential made = model.copy();
        made.qconfig(QConfig.forBackend("onednn"));
        Quantization.prepare(made);
        made.call(x);
        Quantization.convert(made);
        return made;
    }

    @Test
    @DisplayName("names the backends there are")
    void backend() {
        refuses(() -> model.qconfig(QConfig.forBackend("gpu")), "'gpu'", "fbgemm, x86, qnnpack");
        refuses(() -> model.qconfig(QConfig.qatForBackend("gpu")), "'gpu'", "fbgemm, x86");
    }

    @Test
    @DisplayName("says that it must be prepared, and calibrated, before it is converted")
    void order() {
        refuses(() -> Quantization.convert(model), "not prepared", "Quantization.prepare(model)");
        model.qconfig(QConfig.forBackend("x86"));
        Quantization.prepare(model);
        refuses(() -> Quantization.convert(model), "'0'", "no data", "calibration");
        refuses(() -> Quantization.prepare(model), "prepared already", "'0'");
    }

    @Test
    @DisplayName("says that a converted model is converted")
    void twice() {
        model = converted();
        Tensor before = model.call(x);

        refuses(() -> Quantization.convert(model), "not prepared");

        assertTrue(Tensors.equal(before, model.call(x)));
    }

    @Test
    @DisplayName("names what is missing or does not fit where layers are fused")
    void fusing() {
        refuses(() -> Quantization.fuseModules(model, List.of("0", "9")), "'9'", "0, 1, 2");
        refuses(
                () -> Quantization.fuseModules(model, List.of("0", "2")),
                "(Linear, Linear)",
                "fusable are");
        model.train();
        refuses(() -> Quantization.fuse(model, x), "eval()");
    }

    @Test
    @DisplayName("tells training from inference")
    void modes() {
        model.qconfig(QConfig.qatForBackend("x86"));
        refuses(() -> Quantization.prepareQat(model), "eval mode", "train()");
        model.train();
        model.qconfig(QConfig.forBackend("x86"));
        refuses(() -> Quantization.prepareQat(model), "'0'", "HistogramObserver", "qatForBackend");
    }

    @ParameterizedTest
    @ValueSource(floats = {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY})
    @DisplayName("names the layer whose calibration data is not finite")
    void notFinite(float value) {
        model.qconfig(QConfig.forBackend("x86"));
        Quantization.prepare(model);
        model.call(x);
        Tensor wrong = Tensors.of(new float[] {1, 2, value, 4, 5, 6}, 1, 6);
        refuses(() -> model.call(wrong), "'0'", "NaN or infinite", "ignoreNonFinite()");
    }

    @Test
    @DisplayName("names the settings that an observer can't follow")
    void settings() {
        refuses(
                MinMaxObserver.with().qscheme(Qscheme.PER_CHANNEL_SYMMETRIC)::make,
                "MinMaxObserver",
                "per_channel_symmetric");
        refuses(MinMaxObserver.with().quantRange(7, -8)::make, "MinMaxObserver", "7…-8");
        refuses(
                () -> PerChannelMinMaxObserver.with().channelAxis(2).make().call(x),
                "dimension 2",
                "[8, 6]",
                "below 2");
    }

    @Test
    @DisplayName("says that there is nothing to quantize dynamically")
    void nothingDynamic() {
        model = new Sequential(new ReLU());
        refuses(() -> Quantization.quantizeDynamic(model), "Sequential", "no layer", "Linear");
    }

    @Test
    @DisplayName("refuses a file of another architecture")
    void otherArchitecture() {
        Path file = directory.resolve("model.safetensors");
        Quantization.save(converted(), file);
        model = new Sequential(new Linear(6, 5));
        refuses(() -> Quantization.load(model, file), "'2'");
    }

    @Test
    @DisplayName("gives one line for any damage of a quantized file")
    void damagedFiles() throws IOException {
        Path file = directory.resolve("model.safetensors");
        Quantization.save(converted(), file);
        byte[] whole = Files.readAllBytes(file);
        var random = new Random(5);
        int refused = 0;
        for (int i = 0; i < 300; i++) {
            byte[] damaged =
                    i % 3 == 0 ? Arrays.copyOf(whole, random.nextInt(whole.length)) : whole.clone();
            for (int k = 0; i % 3 != 0 && k <= i % 5; k++) {
                damaged[random.nextInt(damaged.length)] = (byte) random.nextInt();
            }
            Files.write(file, damaged);
            try {
                Quantization.load(network(), file).call(x);
            } catch (EspalierException e) {
                refused++;
                String message = String.valueOf(e.getMessage());
                assertEquals(1, message.lines().count(), message);
            }
        }
        assertTrue(refused > 100, "refused " + refused);
    }
}
