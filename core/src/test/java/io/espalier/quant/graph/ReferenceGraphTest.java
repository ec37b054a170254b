package io.espalier.quant.graph;

import static io.espalier.Errors.messageOf;
import static io.espalier.quant.graph.GraphNetworks.decibels;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.graph.Graph;
import io.espalier.graph.GraphModule;
import io.espalier.nn.Conv2d;
import io.espalier.nn.ConvTranspose2d;
import io.espalier.nn.Flatten;
import io.espalier.nn.Hardswish;
import io.espalier.nn.Linear;
import io.espalier.nn.MaxPool2d;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.quant.GraphQuantization;
import io.espalier.quant.QConfig;
import io.espalier.quant.Quantization;
import io.espalier.quant.layer.FusedChain;
import io.espalier.quant.observer.QuantizationParameters;
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
import org.junit.jupiter.params.provider.ValueSource;

import java.nio.file.Path;
import java.util.List;
import java.util.regex.Pattern;

@DisplayName("A graph with explicit ranges")
class ReferenceGraphTest {
    private static final Pattern RANGE =
            Pattern.compile("scale=[0-9.E-]+, zero_point=[0-9]+, dtype=QUInt8");

    @BeforeEach
    void seed() {
        Libtorch.seed(9);
    }

    private static GraphModule prepared(Module model, String engine, Tensor x) {
        model.eval();
        GraphModule traced = GraphModule.trace(model, x);
        traced.qconfig(QConfig.forBackend(engine));
        GraphModule prepared = GraphQuantization.prepare(traced);
        prepared.call(x);
        return prepared;
    }

    @Test
    @DisplayName("prints where values are quantized, and is read from its text again")
    void prints() {
        Tensor x = Tensors.randn(2, 3, 8, 8);
        var model =
                new Sequential(
                        new Conv2d(3, 4, 3), new ReLU(), new MaxPool2d(2), new Conv2d(4, 2, 3));
        GraphModule reference = GraphQuantization.convertToReference(prepared(model, "x86", x));

        assertEquals(
                """
                graph(x):
                    x_quantized = quantize(x, RANGE)
                    x_observed = dequantize(x_quantized)
                    0 = self.0(x_observed)
                    0_quantized = quantize(0, RANGE)
                    0_observed = dequantize(0_quantized)
                    max_pool2d = max_pool2d(0_observed, kernel_size=[2, 2], stride=[2, 2])
                    max_pool2d_quantized = quantize(max_pool2d, RANGE)
                    max_pool2d_observed = dequantize(max_pool2d_quantized)
                    3 = self.3(max_pool2d_observed)
                    return 3\
                """,
                RANGE.matcher(reference.graph().toString()).replaceAll("RANGE"));
        assertEquals(reference.graph(), Graph.fromJson(reference.graph().toJson()));
    }

    @ParameterizedTest
    @ValueSource(strings = {"x86", "onednn", "fbgemm", "qnnpack"})
    @DisplayName("gives within one step what the kernels of one layer give")
    void oneLayer(String engine) {
        for (Module layer :
                List.of(
                        new Conv2d(3, 4, 3, o -> o.padding(1)),
                        new ConvTranspose2d(3, 4, 2),
                        new Sequential(new Flatten(), new Linear(3 * 8 * 8, 5)))) {
            Tensor x = Tensors.randn(4, 3, 8, 8);
            GraphModule prepared = prepared(new Sequential(layer, new ReLU()), engine, x);
            GraphModule reference = GraphQuantization.convertToReference(prepared);
            GraphModule lowered = GraphQuantization.lower(reference);

            Tensor expected = reference.call(x);
            double range = expected.max().item_double() - expected.min().item_double();
            double apart = expected.sub(lowered.call(x)).abs().max().item_double();
            assertTrue(apart <= 1.01 * range / 127, apart + " of " + range + ": " + lowered);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"x86", "onednn", "fbgemm", "qnnpack"})
    @DisplayName("agrees with its kernels on any network, and lowers to what convert gives")
    void anyNetwork(String engine) {
        for (long seed = 100; seed < 115; seed++) {
            Libtorch.seed(seed);
            try (var scope = new PointerScope();
                    var noGrad = new NoGradGuard()) {
                var model = new RandomNetwork(seed);
                Tensor x = RandomNetwork.input();
                GraphModule prepared = prepared(model, engine, x);
                GraphModule reference = GraphQuantization.convertToReference(prepared);
                GraphModule lowered = GraphQuantization.lower(reference);

                Tensor explicit = reference.call(x);
                Tensor kernels = lowered.call(x);
                assertEquals(GraphQuantization.convert(prepared).graph(), lowered.graph());
                assertTrue(
                        Tensors.equal(GraphQuantization.convert(prepared).call(x), kernels),
                        engine + seed);
                double apart = decibels(explicit, kernels);
                double fromFloat = decibels(model.call(x), kernels);
                assertTrue(
                        Tensors.equal(explicit, kernels) || (apart > 22 && apart > fromFloat - 3),
                        apart + " dB, from floats " + fromFloat + ": " + engine + seed);
            }
        }
    }

    @Test
    @DisplayName("has the ranges of its weights, and weights that are rounded to them")
    void weights() {
        Tensor x = Tensors.randn(2, 3, 8, 8);
        GraphModule reference =
                GraphQuantization.convertToReference(
                        prepared(new Sequential(new Conv2d(3, 4, 3)), "x86", x));
        FusedChain chain = (FusedChain) reference.module("0");

        QuantizationParameters ranges = chain.weightParameters().orElseThrow();
        Tensor weight = chain.layer().value("weight");
        assertEquals(4, ranges.scales().length);
        assertTrue(Tensors.equal(weight, ranges.dequantize(ranges.quantize(weight))));
    }

    @Test
    @DisplayName("is not saved before it is lowered, nor made of what was not calibrated")
    void wrongUse(@TempDir Path folder) {
        Tensor x = Tensors.randn(2, 3, 8, 8);
        var model = new Sequential(new Conv2d(3, 4, 3), new Hardswish(), new Conv2d(4, 4, 3));
        GraphModule prepared = prepared(model, "x86", x);
        GraphModule reference = GraphQuantization.convertToReference(prepared);
        Path file = folder.resolve("graph.safetensors");

        assertTrue(
                messageOf(() -> Quantization.save(reference, file)).contains("not converted yet"));
        assertTrue(
                messageOf(() -> Quantization.save(prepared, file)).contains("not converted yet"));
        assertTrue(
                messageOf(() -> GraphQuantization.convertToReference(reference))
                        .contains("not prepared"));
        assertTrue(messageOf(() -> GraphQuantization.lower(prepared)).contains("has no layer"));
        assertTrue(
                messageOf(() -> GraphQuantization.lower(GraphModule.trace(model, x)))
                        .contains("has no layer"));
    }
}
