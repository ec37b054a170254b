package io.espalier.quant;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.OnlyEngines;
import io.espalier.nn.Linear;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.tensor.Engine;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import java.nio.file.Path;
import java.util.List;

@DisplayName("On a platform without the engine of a configuration")
class MissingEngineTest {
    private static final String MISSING =
            "The engine fbgemm is not in this platform's libtorch; choose one that is: qnnpack.";

    private Sequential model;
    private Tensor x;

    @BeforeEach
    void make() {
        Libtorch.seed(3);
        model = new Sequential(new Linear(6, 5), new ReLU(), new Linear(5, 4));
        model.eval();
        x = Tensors.randn(8, 6);
    }

    private void prepare() {
        model.qconfig(QConfig.forBackend("fbgemm"));
        Quantization.prepare(model);
        model.call(x);
    }

    @Test
    @DisplayName("a calibrated model is not converted, stays as it was, and converts for another")
    void converting() {
        try (var platform = OnlyEngines.of("qnnpack")) {
            prepare();
            String prepared = model.toString();

            assertEquals(MISSING, messageOf(() -> Quantization.convert(model)));

            assertEquals(prepared, model.toString());
            QConfig preset = QConfig.forBackend("fbgemm");
            model.qconfig(new QConfig(preset.activation(), preset.weight(), Engine.QNNPACK));
            Quantization.convert(model);
            assertTrue(model.toString().contains("QuantizedLinear"));
        }
    }

    @Test
    @DisplayName("nothing is quantized dynamically, or by its graph")
    void otherWays() {
        QConfig preset = QConfig.forBackend("fbgemm");
        String before = model.toString();
        try (var platform = OnlyEngines.of("qnnpack")) {
            assertEquals(MISSING, messageOf(() -> Quantization.quantizeDynamic(model, preset)));
            model.qconfig(preset);
            assertEquals(MISSING, messageOf(() -> Quantization.quantize(model, x, List.of(x))));
        }
        assertEquals(before, model.toString());
    }

    @Test
    @DisplayName("a file that was written for it is refused when it is read")
    void loading(@TempDir Path directory) {
        Sequential plain = model.copy();
        prepare();
        Quantization.convert(model);
        Path file = directory.resolve("int8.safetensors");
        Quantization.save(model, file);
        try (var platform = OnlyEngines.of("qnnpack")) {
            String message = messageOf(() -> Quantization.load(plain, file));
            assertTrue(message.contains(MISSING), message);
        }
    }
}
