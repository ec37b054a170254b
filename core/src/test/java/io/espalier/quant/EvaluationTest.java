package io.espalier.quant;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.data.Batch;
import io.espalier.data.Dataset;
import io.espalier.data.TensorDataset;
import io.espalier.nn.BatchNorm2d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Flatten;
import io.espalier.nn.Linear;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;
import io.espalier.train.Losses;
import io.espalier.train.Metrics;

import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.List;

class EvaluationTest {
    private Sequential reference;
    private Sequential quantized;
    private TensorDataset data;

    @BeforeEach
    void convert() {
        Libtorch.seed(11);
        reference =
                FusionTest.trained(
                        new Sequential(
                                new Conv2d(1, 4, 3),
                                new BatchNorm2d(4),
                                new ReLU(),
                                new Flatten(),
                                new Linear(144, 6)),
                        Tensors.randn(8, 1, 8, 8));
        Tensor x = Tensors.randn(200, 1, 8, 8);
        data = new TensorDataset(x, reference.call(x).argmax(new LongOptional(1), false));
        quantized = quantized(reference.copy());
    }

    private Sequential quantized(Sequential model) {
        Quantization.fuseModules(model, List.of("0", "1", "2"));
        model.qconfig(QConfig.forBackend("x86"));
        Quantization.prepare(model);
        model.call(data.inputs());
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
        ruined.call(data.inputs());
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
