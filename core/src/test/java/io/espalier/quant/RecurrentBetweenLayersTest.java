package io.espalier.quant;

import static io.espalier.Errors.messageOf;
import static io.espalier.TensorAssertions.assertClose;
import static io.espalier.quant.RecurrentNetworks.Tagger;
import static io.espalier.quant.RecurrentNetworks.quantize;
import static io.espalier.quant.RecurrentNetworks.sqnr;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.Module;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;

@DisplayName("An LSTM between other layers")
class RecurrentBetweenLayersTest {
    @TempDir Path directory;

    @BeforeEach
    void seed() {
        Libtorch.seed(17);
    }

    @Test
    @DisplayName("Between quantized layers integers go in and out, and no input is observed twice")
    void standsBetweenQuantizedLayers() {
        var model = new Tagger();
        model.eval();
        Tensor x = Tensors.randn(5, 4, 6);
        Tensor expected = model.call(x);
        Module original = model.copy();
        quantize(model, "x86", List.of(List.of(x)));
        assertTrue(sqnr(expected, model.call(x)) > 25);
        assertFalse(model.module("lstm").hasBuffer("input_scale"));
        model.module("lstm")
                .onInput((module, tensors) -> {
                    assertTrue(tensors.getFirst().is_quantized());
                    return tensors;
                });
        model.module("out")
                .onInput((module, tensors) -> {
                    assertTrue(tensors.getFirst().is_quantized());
                    return tensors;
                });
        Tensor y = model.call(x);
        Path file = directory.resolve("tagger.safetensors");
        Quantization.save(model, file);
        assertClose(y, Quantization.load(original, file).call(x), 0);
        assertTrue(
                model.toString()
                        .replaceAll("scale=[0-9.e-]+, zero_point=[0-9]+", "#")
                        .contains(
                                """
                                  (lstm): QuantizedLSTM(
                                    12, 24, #
                                    (ih_l0): GateLinear(in_features=12, out_features=96, qscheme=torch.per_channel_affine)
                                    (hh_l0): GateLinear(in_features=24, out_features=96, qscheme=torch.per_channel_affine)
                                  )
                                """));
    }

    @Test
    @DisplayName("A network that saw no data is named when it is converted, and nothing is changed")
    void namesUncalibrated() {
        var model = new Tagger();
        model.eval();
        model.qconfig(QConfig.forBackend("x86"));
        Quantization.prepare(model);
        String prepared = model.toString();
        model.module("in").call(Tensors.randn(2, 2, 6));
        assertTrue(
                messageOf(() -> Quantization.convert(model))
                        .startsWith(
                                "HistogramObserver at 'lstm.activation_post_process' has seen"));
        assertTrue(prepared.contains("(lstm): QuantizableLSTM("));
        assertTrue(model.toString().contains("(lstm): QuantizableLSTM("));
    }

    @Test
    @DisplayName("Eight threads on one model give what one gives")
    void runsConcurrently() throws Exception {
        var model = new Tagger();
        model.eval();
        Tensor x = Tensors.randn(5, 4, 6);
        quantize(model, "x86", List.of(List.of(x)));
        float[] expected = Tensors.floats(model.call(x));
        Callable<float[]> work =
                () -> {
                    float[] last = new float[0];
                    for (int i = 0; i < 30; i++) {
                        try (var scope = new PointerScope()) {
                            last = Tensors.floats(model.call(x));
                        }
                    }
                    return last;
                };
        try (var threads = Executors.newFixedThreadPool(8)) {
            for (var result : threads.invokeAll(Collections.nCopies(8, work))) {
                assertArrayEquals(expected, result.get());
            }
        }
    }
}
