package io.espalier.quant;

import static io.espalier.quant.QatNetwork.CHAINS;
import static io.espalier.quant.QatNetwork.network;
import static io.espalier.quant.QatNetwork.prepared;
import static io.espalier.quant.QatNetwork.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.Mask;
import io.espalier.nn.Module;
import io.espalier.nn.Sequential;
import io.espalier.quant.observer.MinMaxObserver;
import io.espalier.quant.observer.MovingAverageMinMaxObserver;
import io.espalier.quant.observer.ObserverSettings;
import io.espalier.quant.observer.Qscheme;
import io.espalier.quant.observer.QuantizedType;
import io.espalier.quant.qat.FakeQuantize;
import io.espalier.quant.qat.LearnableFakeQuantize;
import io.espalier.quant.qat.QatPhases;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

/** What stays true of a model while it trains rounded. */
class QatTrainingTest {

    @BeforeEach
    void seed() {
        Libtorch.seed(11);
    }

    private static void mask(Module layer) {
        Tensor mask = Tensors.rand(Tensors.shape(layer.parameter("weight")));
        var weight = new Mask("weight");
        layer.storeAs("weight", weight.storedName());
        layer.addBuffer(weight.bufferName(), mask.gt(new Scalar(0.5f)).to(mask.scalar_type()));
        layer.parametrize("weight", weight);
    }

    @Test
    @DisplayName("a mask holds through training and conversion")
    void masksHold() {
        Sequential model = network();
        mask(model.module("0"));
        mask(model.module("4"));
        float[] kept = Tensors.floats(model.module("4").buffer("weight_mask"));
        Quantization.fuseModulesQat(model, CHAINS);
        model.qconfig(QConfig.qatForBackend("x86"));
        Quantization.prepareQat(model);

        train(model, 10, 0.05);
        float[] rounded = Tensors.floats(model.module("4").value("weight"));
        float[] stored = Tensors.floats(model.module("4").parameter("weight_orig"));
        model.eval();
        Quantization.convert(model);
        long[] integers = Tensors.longs(model.module("4").buffer("weight"));

        int others = 0;
        for (int i = 0; i < kept.length; i++) {
            if (kept[i] == 0) {
                assertEquals(0f, rounded[i]);
                assertEquals(0L, integers[i]);
                assertNotEquals(0f, stored[i]);
            } else {
                others += integers[i] == 0 ? 0 : 1;
            }
        }
        assertTrue(others > kept.length / 3, others + " integers are not zero");
    }

    @Test
    @DisplayName("a channel whose normalization has factor zero gives no NaN")
    void zeroFactor() {
        Sequential model = network();
        try (var noGrad = new NoGradGuard()) {
            model.module("1").parameter("weight").select(0, 2).zero_();
        }
        Quantization.fuseModulesQat(model, CHAINS);
        model.qconfig(QConfig.qatForBackend("x86"));
        Quantization.prepareQat(model);

        double loss = train(model, 3, 0.05);

        assertTrue(Double.isFinite(loss), "loss " + loss);
        for (Tensor parameter : model.parameters()) {
            assertTrue(parameter.isfinite().all().item_bool());
        }
    }

    @Test
    @DisplayName("frozen statistics stay, also in training, until they are let go")
    void freezes() {
        Sequential model = prepared(QConfig.qatForBackend("x86"));
        train(model, 2, 0.01);
        QatPhases.freezeBatchNorm(model, true);
        float[] before = Tensors.floats(model.module("0.bn").buffer("running_mean"));

        model.train();
        train(model, 2, 0.01);
        assertArrayEquals(before, Tensors.floats(model.module("0.bn").buffer("running_mean")));

        QatPhases.freezeBatchNorm(model, false);
        train(model, 2, 0.01);
        assertFalse(
                java.util.Arrays.equals(
                        before, Tensors.floats(model.module("0.bn").buffer("running_mean"))));
    }

    @Test
    @DisplayName("learned scales of 4 bits train below the error of the scales they start from")
    void learnsScales() {
        ObserverSettings weights =
                MinMaxObserver.with()
                        .dtype(QuantizedType.QINT8)
                        .qscheme(Qscheme.PER_TENSOR_SYMMETRIC)
                        .quantRange(-8, 7);
        var qconfig =
                new QConfig(
                        FakeQuantize.with(MovingAverageMinMaxObserver.with().reduceRange(true)),
                        LearnableFakeQuantize.with(weights));
        Sequential model = prepared(qconfig);
        var learned = (LearnableFakeQuantize) model.module("4.weight_fake_quant");
        float start = learned.quantizationParameters().scale();
        assertTrue(learned.isLearning());

        double before = train(model, 1, 0.05);
        double after = train(model, 80, 0.05);

        assertNotEquals(start, learned.quantizationParameters().scale());
        assertTrue(after < 0.8 * before, before + " to " + after);
        model.eval();
        Quantization.convert(model);
        for (long integer : Tensors.longs(model.module("4").buffer("weight"))) {
            assertTrue(integer >= -8 && integer <= 7, "integer " + integer);
        }
    }
}
