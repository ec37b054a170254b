package io.espalier.quant.evaluation;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.TrainedModels;
import io.espalier.data.Batch;
import io.espalier.data.Dataset;
import io.espalier.graph.GraphModule;
import io.espalier.nn.BatchNorm2d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Embedding;
import io.espalier.nn.Flatten;
import io.espalier.nn.Functional;
import io.espalier.nn.LSTM;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.quant.QConfig;
import io.espalier.quant.Quantization;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;
import io.espalier.train.Losses;
import io.espalier.train.Metrics;

import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.util.List;

class EvaluationTest {
    private Sequential reference;
    private Sequential quantized;
    private Dataset data;

    @BeforeEach
    void convert() {
        Libtorch.seed(11);
        reference =
                TrainedModels.trained(
                        new Sequential(
                                new Conv2d(1, 4, 3),
                                new BatchNorm2d(4),
                                new ReLU(),
                                new Flatten(),
                                new Linear(144, 6)),
                        Tensors.randn(8, 1, 8, 8));
        Tensor x = Tensors.randn(200, 1, 8, 8);
        data = Dataset.of(x, reference.call(x).argmax(new LongOptional(1), false));
        quantized = quantized(reference.copy());
    }

    private Sequential quantized(Sequential model) {
        Quantization.fuseModules(model, List.of("0", "1", "2"));
        model.qconfig(QConfig.forBackend("x86"));
        Quantization.prepare(model);
        model.call(data.all().input());
        Quantization.convert(model);
        return model;
    }

    @Test
    @DisplayName("Both models' scores and sizes, and each quantized layer's error, are told")
    void compares() {
        Comparison comparison = Evaluation.compare(reference, quantized, data);
        assertEquals(1, comparison.reference().score());
        assertTrue(comparison.quantized().score() > 0.9);
        assertTrue(comparison.sizeRatio() < 0.5);
        assertEquals(
                List.of("0", "4"),
                comparison.layers().stream().map(Comparison.Layer::path).toList());
        for (Comparison.Layer layer : comparison.layers()) {
            assertTrue(layer.weightSqnr() > 35 && layer.weightSqnr() < 60, layer.toString());
            assertTrue(layer.outputSqnr() > 25 && layer.outputSqnr() < 60, layer.toString());
        }
        assertTrue(comparison.toString().contains("weight dB"));
        assertFalse(reference.isTraining());
    }

    @Test
    @DisplayName("A slower model is told how many times slower it is")
    void slower() {
        var layers = List.<Comparison.Layer>of();
        var one = new Comparison.Figures(1, 8, 2);
        var other = new Comparison.Figures(1, 8, 5);
        assertTrue(
                new Comparison("accuracy", one, other, layers)
                        .toString()
                        .contains("(2.5 times slower)"));
        assertTrue(
                new Comparison("accuracy", other, one, layers)
                        .toString()
                        .contains("(2.5 times faster)"));
    }

    @Test
    @DisplayName("A model in 16-bit floats is told to be as good, and half as large")
    void comparesHalves() {
        Sequential half = reference.copy();
        half.qconfig(QConfig.forBackend("float16"));
        Quantization.prepare(half);
        Quantization.convert(half);

        Comparison comparison = Evaluation.compare(reference, half, data);

        assertEquals(1, comparison.quantized().score(), 0.02);
        assertTrue(comparison.sizeRatio() < 0.55, comparison.toString());
        assertTrue(comparison.reference().milliseconds() > 0);
        assertTrue(comparison.quantized().milliseconds() > 0);
        assertTrue(comparison.toString().contains("accuracy"), comparison.toString());
    }

    /** Its integer kernels add and compute hardswish, which a layer by itself does not. */
    static final class Residual extends Module {
        final Conv2d first = add("first", new Conv2d(3, 8, 3, o -> o.padding(1)));
        final BatchNorm2d norm = add("norm", new BatchNorm2d(8));
        final Conv2d second = add("second", new Conv2d(8, 8, 3, o -> o.padding(1)));
        final Linear fc = add("fc", new Linear(8 * 6 * 6, 5));

        @Override
        protected Tensor forward(Tensor input) {
            Tensor x = Functional.hardswish(norm.call(first.call(input)));
            x = Functional.relu(Functional.add(second.call(x), x));
            return fc.call(Functional.flatten(x, 1, -1));
        }
    }

    @Test
    @DisplayName("A quantized graph's kernels are held against all that they compute")
    void comparesGraphs() {
        var model = new Residual();
        model.train();
        model.call(Tensors.randn(64, 3, 6, 6));
        model.eval();
        Tensor x = Tensors.randn(100, 3, 6, 6);
        var pictures = Dataset.of(x, model.call(x).argmax(new LongOptional(1), false));

        GraphModule graph = Quantization.quantize(model, x, List.of(x));
        Comparison comparison = Evaluation.compare(model, graph, pictures);

        assertTrue(comparison.quantized().score() > 0.9);
        List<Comparison.Layer> layers =
                comparison.layers().stream()
                        .filter(layer -> !Double.isNaN(layer.weightSqnr()))
                        .toList();
        assertEquals(
                List.of("first", "second", "fc"),
                layers.stream().map(Comparison.Layer::path).toList());
        for (Comparison.Layer layer : layers) {
            assertTrue(layer.weightSqnr() > 35 && layer.weightSqnr() < 60, layer.toString());
            assertTrue(layer.outputSqnr() > 25 && layer.outputSqnr() < 60, layer.toString());
        }
    }

    /** A model of text. */
    static final class Sentence extends Module {
        final Embedding words = add("words", new Embedding(40, 12));
        final LSTM sentence = add("sentence", new LSTM(12, 16, o -> o.batchFirst(true)));
        final Linear verdict = add("verdict", new Linear(16, 5));

        @Override
        protected Tensor forward(Tensor indices) {
            return verdict.call(sentence.call(words.call(indices)).select(1, 6));
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    @DisplayName("The errors of tables and recurrent networks are told, static and dynamic")
    void comparesText(boolean dynamic) {
        var model = new Sentence();
        model.eval();
        Tensor words = Tensors.rand(100, 7).mul(new Scalar(40L)).to(ScalarType.Long);
        var text = Dataset.of(words, model.call(words).argmax(new LongOptional(1), false));
        Sentence small = model.copy();
        if (dynamic) {
            Quantization.quantizeDynamic(small);
        } else {
            small.qconfig(QConfig.forBackend("x86"));
            Quantization.prepare(small);
            small.call(words);
            Quantization.convert(small);
        }
        List<Comparison.Layer> layers = Evaluation.compare(model, small, text).layers();
        assertEquals(
                List.of("words", "sentence", "verdict"),
                layers.stream().map(Comparison.Layer::path).toList());
        for (Comparison.Layer layer : layers) {
            assertTrue(layer.weightSqnr() > 35 && layer.weightSqnr() < 60, layer.toString());
            assertTrue(layer.outputSqnr() > 20 && layer.outputSqnr() < 60, layer.toString());
        }
    }

    @Test
    @DisplayName("Every layer with weights can be quantized alone, tables and networks too")
    void quantizesOneAtATime() {
        var model = new Sentence();
        model.eval();
        Tensor words = Tensors.rand(60, 7).mul(new Scalar(40L)).to(ScalarType.Long);
        var text = Dataset.of(words, model.call(words).argmax(new LongOptional(1), false));
        Sensitivity ranked =
                Sensitivity.of(
                        model, QConfig.forBackend("x86"), List.of(words), text, Metrics.accuracy());
        assertEquals(
                List.of("sentence", "verdict", "words"),
                ranked.layers().stream().map(Sensitivity.Layer::path).sorted().toList());
        assertTrue(
                ranked.layers().stream().allMatch(layer -> layer.score() > 0.85),
                ranked.toString());
    }

    @Test
    @DisplayName("A float model that is fused itself has the same weight errors")
    void comparesWithFused() {
        Sequential fused = reference.copy();
        Quantization.fuseModules(fused, List.of("0", "1", "2"));

        List<Comparison.Layer> expected = Evaluation.compare(reference, quantized, data).layers();
        List<Comparison.Layer> layers = Evaluation.compare(fused, quantized, data).layers();

        for (int i = 0; i < layers.size(); i++) {
            assertEquals(expected.get(i).weightSqnr(), layers.get(i).weightSqnr(), 0.1);
            assertEquals(expected.get(i).saturated(), layers.get(i).saturated());
        }
    }

    @Test
    @DisplayName("Values beyond the calibrated range are counted as saturated, layer by layer")
    void countsSaturated() {
        Tensor larger = data.all().input().mul(new Scalar(8.0));
        var loud = Dataset.of(larger, reference.call(larger).argmax(new LongOptional(1), false));

        Comparison usual = Evaluation.compare(reference, quantized, data);
        Comparison beyond = Evaluation.compare(reference, quantized, loud);

        assertTrue(usual.layers().getFirst().saturated() < 0.01, usual.toString());
        assertTrue(beyond.layers().getFirst().saturated() > 0.05, beyond.toString());
        assertTrue(beyond.toString().contains("saturated"));
    }

    @Test
    @DisplayName("A layer that one large weight ruins stands out")
    void showsWhatHurts() {
        Sequential uneven = reference.copy();
        try (var guard = new NoGradGuard()) {
            uneven.module("4")
                    .parameter("weight")
                    .select(1, 0)
                    .select(0, 0)
                    .mul_(new Scalar(500.0));
        }
        Sequential ruined = uneven.copy();
        Quantization.fuseModules(ruined, List.of("0", "1", "2"));
        ruined.qconfig(QConfig.forBackend("qnnpack"));
        Quantization.prepare(ruined);
        ruined.call(data.all().input());
        Quantization.convert(ruined);

        List<Comparison.Layer> layers =
                Evaluation.compare(uneven, ruined, data, Metrics.meanLoss(Losses.crossEntropy()))
                        .layers();
        assertTrue(layers.get(1).outputSqnr() < layers.get(0).outputSqnr() - 3, layers.toString());
    }

    @Test
    @DisplayName("An empty dataset is a clear error")
    void refusesEmptyData() {
        var empty =
                new Dataset() {
                    @Override
                    public int size() {
                        return 0;
                    }

                    @Override
                    public Batch batch(int[] indices) {
                        return data.batch(indices);
                    }
                };
        assertEquals(
                "Models can't be compared on an empty dataset.",
                messageOf(() -> Evaluation.compare(reference, quantized, empty)));
    }
}
