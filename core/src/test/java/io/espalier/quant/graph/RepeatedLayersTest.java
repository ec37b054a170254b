package io.espalier.quant.graph;

import static io.espalier.quant.graph.GraphNetworks.decibels;
import static io.espalier.quant.graph.GraphNetworks.settled;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.data.Dataset;
import io.espalier.graph.GraphModule;
import io.espalier.nn.AdaptiveAvgPool2d;
import io.espalier.nn.BatchNorm2d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Flatten;
import io.espalier.nn.FloatFunctional;
import io.espalier.nn.Hardswish;
import io.espalier.nn.Linear;
import io.espalier.nn.MaxPool2d;
import io.espalier.nn.Module;
import io.espalier.nn.Sequential;
import io.espalier.quant.QConfig;
import io.espalier.quant.Quantization;
import io.espalier.quant.evaluation.Comparison;
import io.espalier.quant.evaluation.Evaluation;
import io.espalier.quant.layer.FusedChain;
import io.espalier.quant.layer.QuantizedLayer;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.nio.file.Path;
import java.util.List;

@DisplayName("A quantized graph that calls a layer several times")
class RepeatedLayersTest {
    /** One head for a picture at two sizes, as detectors have. */
    private static final class TwoSizes extends Module {
        private final Conv2d stem = add("stem", new Conv2d(3, 8, 3, with -> with.padding(1)));
        private final MaxPool2d smaller = add("smaller", new MaxPool2d(2));
        private final Sequential head =
                add(
                        "head",
                        new Sequential(
                                new Conv2d(8, 8, 3, with -> with.padding(1).bias(false)),
                                new BatchNorm2d(8),
                                new Hardswish(),
                                new AdaptiveAvgPool2d(1),
                                new Flatten(),
                                new Linear(8, 4)));
        private final FloatFunctional sum = add("sum", new FloatFunctional());

        @Override
        protected Tensor forward(Tensor x) {
            Tensor large = stem.call(x);
            return sum.add(head.call(large), head.call(smaller.call(large)));
        }
    }

    @BeforeEach
    void seed() {
        Libtorch.seed(14);
    }

    private static Tensor images() {
        return Tensors.randn(4, 3, 12, 12);
    }

    @ParameterizedTest
    @ValueSource(strings = {"x86", "onednn", "fbgemm", "qnnpack"})
    @DisplayName("has integers in each call, with the ranges of that call")
    void eachCall(String engine) {
        TwoSizes model = settled(new TwoSizes());
        model.qconfig(QConfig.forBackend(engine));
        Tensor x = images();

        GraphModule quantized = Quantization.quantize(model, x, List.of(x, images()));

        for (String path : List.of("head.0", "head.0#2", "head.5", "head.5#2")) {
            assertInstanceOf(QuantizedLayer.class, quantized.module(path), path);
        }
        assertTrue(decibels(model.call(x), quantized.call(x)) > 25);
    }

    @Test
    @DisplayName("is saved and loaded, copied, and compared call by call")
    void savedAndCompared(@TempDir Path folder) {
        TwoSizes model = settled(new TwoSizes());
        Tensor x = images();
        GraphModule quantized = Quantization.quantize(model, x, List.of(x));
        Path file = folder.resolve("two.safetensors");
        Quantization.save(quantized, file);

        Tensor expected = quantized.call(x);

        assertTrue(Tensors.equal(expected, Quantization.loadGraph(file).call(x)));
        assertTrue(Tensors.equal(expected, quantized.<GraphModule>copy().call(x)));
        var labelled = Dataset.of(x, Tensors.of(new long[] {0, 1, 2, 3}, 4));
        List<Comparison.Layer> layers = Evaluation.compare(model, quantized, labelled).layers();
        for (String path : List.of("head.0", "head.0#2", "head.5", "head.5#2")) {
            assertTrue(
                    layers.stream()
                            .anyMatch(layer ->
                                    layer.path().equals(path)
                                            && layer.weightSqnr() > 30
                                            && layer.outputSqnr() > 15),
                    layers.toString());
        }
    }

    @Test
    @DisplayName("loads what stayed in float from the one layer of the model")
    void floatCalls(@TempDir Path folder) {
        TwoSizes model = settled(new TwoSizes());
        model.qconfig(QConfig.forBackend("x86"));
        model.module("head.0").qconfig(null);
        Tensor x = images();
        GraphModule quantized = Quantization.quantize(model, x, List.of(x));
        Path file = folder.resolve("two.safetensors");
        Quantization.save(quantized, file);

        assertInstanceOf(FusedChain.class, quantized.module("head.0#2"));
        assertEquals(
                2,
                quantized.modules().values().stream().filter(m -> m instanceof FusedChain).count());
        Module loaded = Quantization.loadGraph(new TwoSizes(), file);
        assertTrue(Tensors.equal(quantized.call(x), loaded.call(x)));
    }
}
