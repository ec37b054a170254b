package io.espalier.quant.evaluation;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.data.Dataset;
import io.espalier.nn.Linear;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.quant.QConfig;
import io.espalier.tensor.Engine;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;
import io.espalier.train.Losses;
import io.espalier.train.Metric;
import io.espalier.train.Metrics;

import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.List;

class SensitivityTest {
    private static final Metric LOSS = Metrics.meanLoss(Losses.mse());

    private Sequential model;
    private Dataset data;
    private List<Tensor> calibration;

    /** One huge weight in the middle layer takes all of its scale. */
    @BeforeEach
    void model() {
        Libtorch.seed(13);
        model =
                new Sequential(
                        new Linear(8, 16), new ReLU(), new Linear(16, 16), new Linear(16, 4));
        model.eval();
        try (var guard = new NoGradGuard()) {
            Tensor weight = model.get(2).parameter("weight");
            weight.select(0, 0).select(0, 0).fill_(new Scalar(60.0));
        }
        Tensor x = Tensors.randn(100, 8);
        data = Dataset.of(x, model.call(x).detach());
        calibration = List.of(x);
    }

    @Test
    @DisplayName("The layer that hurts comes first, and the model is left as it was")
    void ranks() {
        String before = model.toString();
        Sensitivity sensitivity =
                Sensitivity.of(model, QConfig.forBackend("qnnpack"), calibration, data, LOSS);
        assertEquals("2", sensitivity.layers().getFirst().path());
        assertEquals(3, sensitivity.layers().size());
        assertEquals(0, sensitivity.reference(), 1e-9);
        assertTrue(
                sensitivity.layers().get(0).loss() > 3 * sensitivity.layers().get(1).loss(),
                sensitivity.toString());
        assertEquals(before, model.toString());
        assertFalse(model.hasQconfig());
    }

    @Test
    @DisplayName("Without a configuration, the engine's preset and the data's first examples serve")
    void byDefault() {
        Sensitivity sensitivity = Sensitivity.of(model, data, LOSS);

        assertEquals(
                Sensitivity.of(
                        model,
                        QConfig.forBackend(Engine.current().toString()),
                        calibration,
                        data,
                        LOSS),
                sensitivity);
        assertEquals(3, sensitivity.layers().size());
    }

    @Test
    @DisplayName("Mixed precision leaves in float what it must, and no more")
    void mixes() {
        QConfig qconfig = QConfig.forBackend("qnnpack");
        Sensitivity sensitivity = Sensitivity.of(model, qconfig, calibration, data, LOSS);
        double limit = sensitivity.layers().getFirst().loss() / 2;
        MixedPrecision mixed = MixedPrecision.find(model, qconfig, calibration, data, LOSS, limit);
        assertEquals(List.of("2"), mixed.inFloat());
        assertTrue(mixed.score() <= limit);
        assertTrue(mixed.model().module("2") instanceof Linear);
        assertTrue(
                messageOf(() -> MixedPrecision.find(model, qconfig, calibration, data, LOSS, 0))
                        .startsWith("No layer can be quantized within a loss of 0.0"));
    }
}
