package io.espalier.quant;

import static io.espalier.Errors.messageOf;
import static io.espalier.quant.QatNetwork.CHAINS;
import static io.espalier.quant.QatNetwork.network;
import static io.espalier.quant.QatNetwork.prepared;
import static io.espalier.quant.QatNetwork.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.BatchNorm1d;
import io.espalier.nn.BatchNorm2d;
import io.espalier.nn.ConvTranspose2d;
import io.espalier.nn.Flatten;
import io.espalier.nn.Linear;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.quant.observer.Observer;
import io.espalier.quant.qat.QatPhases;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.util.List;

class QatTest {

    @BeforeEach
    void seed() {
        Libtorch.seed(11);
    }

    @Test
    @DisplayName("prints fused layers under PyTorch's names, with the rounding of their weights")
    void prints() {
        Sequential model = network();
        Quantization.fuseModulesQat(model, CHAINS);

        assertEquals(
                """
                ConvBnReLU2d(
                  (0): Conv2d(1, 4, kernel_size=(3, 3), stride=(1, 1))
                  (1): BatchNorm2d(4, eps=1e-05, momentum=0.1, affine=True, bias=True, \
                track_running_stats=True)
                  (2): ReLU()
                )\
                """,
                model.module("0").toString());
        String tree = prepared(QConfig.qatForBackend("x86")).toString();
        assertTrue(
                tree.contains(
                        "(0): ConvBnReLU2d(\n    1, 4, kernel_size=(3, 3), stride=(1, 1)\n"
                                + "    (bn): BatchNorm2d("),
                tree);
        assertTrue(
                tree.contains(
                        "(4): LinearReLU(\n    in_features=64, out_features=16, bias=True\n"
                                + "    (weight_fake_quant): FusedMovingAvgObsFakeQuantize("),
                tree);
        assertTrue(tree.contains("(6): Linear(\n    in_features=16"), tree);
    }

    @Test
    @DisplayName("with rounding off, a prepared model computes and learns what the float one does")
    void withoutRounding() {
        Sequential model = network();
        Sequential twin = model.copy();
        Quantization.fuseModulesQat(twin, CHAINS);
        twin.qconfig(QConfig.qatForBackend("x86"));
        Quantization.prepareQat(twin);
        Tensor probe = Tensors.randn(5, 1, 6, 6);
        twin.call(probe); // the observer at the entry stands after the first call
        model.call(probe);
        QatPhases.enableFakeQuantization(twin, false);

        Libtorch.seed(3);
        train(model, 5, 0.05);
        Libtorch.seed(3);
        train(twin, 5, 0.05);

        model.eval();
        twin.eval();
        assertArrayEquals(
                Tensors.floats(model.call(probe)), Tensors.floats(twin.call(probe)), 1e-4f);
        assertArrayEquals(
                Tensors.floats(model.module("0").parameter("weight")),
                Tensors.floats(twin.module("0").parameter("weight")),
                1e-4f);
    }

    @ParameterizedTest
    @DisplayName("learns, and the converted model says what the rounded one says")
    @ValueSource(strings = {"fbgemm", "x86", "qnnpack", "onednn"})
    void converts(String backend) {
        Sequential model = prepared(QConfig.qatForBackend(backend));
        double before = train(model, 1, 0.05);
        double after = train(model, 60, 0.05);
        assertTrue(after < 0.8 * before, before + " to " + after);

        model.eval();
        Tensor x = Tensors.randn(50, 1, 6, 6);
        for (int i = 0; i < 500; i++) {
            try (var scope = new PointerScope()) {
                model.call(x); // the averages reach the range of x: nothing is clamped below
            }
        }
        Sequential converted = model.copy();
        Quantization.convert(converted);
        assertTrue(converted.toString().contains("QuantizedConvReLU2d"), converted.toString());

        float[] rounded = Tensors.floats(model.call(x));
        float[] integers = Tensors.floats(converted.call(x));
        float step =
                ((Observer) model.module("6.activation_post_process"))
                        .quantizationParameters()
                        .scale();
        double sum = 0;
        for (int i = 0; i < rounded.length; i++) {
            assertEquals(rounded[i], integers[i], 6 * step, "element " + i);
            sum += Math.abs(rounded[i] - integers[i]);
        }
        assertTrue(sum / rounded.length < step, sum / rounded.length + " of " + step);
    }

    @Test
    @DisplayName("optimizers and parameters from before preparing stay the model's own")
    void sameParameters() {
        Sequential model = network();
        Tensor weight = model.module("0").parameter("weight");
        Tensor gamma = model.module("1").parameter("weight");
        Quantization.fuseModulesQat(model, CHAINS);
        model.qconfig(QConfig.qatForBackend("x86"));
        Quantization.prepareQat(model);

        assertSame(weight, model.module("0").parameter("weight"));
        assertSame(gamma, model.module("0.bn").parameter("weight"));
    }

    @Test
    @DisplayName("eval mode, a qconfig without rounding, and no fake quantization are refused")
    void wrongUse() {
        Sequential model = network();
        model.qconfig(QConfig.forBackend("x86"));
        String before = model.toString();

        assertTrue(
                messageOf(() -> Quantization.prepareQat(model))
                        .startsWith(
                                "The qconfig of '0' has a HistogramObserver for its activation"));
        model.eval();
        assertTrue(messageOf(() -> Quantization.prepareQat(model)).contains("call train() first"));
        assertTrue(messageOf(() -> QatPhases.enableObservers(model, false)).contains("prepareQat"));
        assertEquals(before, model.toString());
    }

    @Test
    @DisplayName("a model fused for training can't be calibrated and converted by accident")
    void fusedForTraining() {
        Sequential model = network();
        Quantization.fuseModulesQat(model, CHAINS);
        model.qconfig(QConfig.forBackend("x86"));
        Quantization.prepare(model);
        model.call(Tensors.randn(4, 1, 6, 6));

        assertTrue(messageOf(() -> Quantization.convert(model)).contains("was fused for training"));
    }

    @Test
    @DisplayName("a linear layer trains with its normalization too, and folds into one kernel")
    void linearNorm() {
        var model =
                new Sequential(
                        new Flatten(),
                        new Linear(36, 8),
                        new BatchNorm1d(8),
                        new ReLU(),
                        new Linear(8, 2));
        Quantization.fuseModulesQat(model, List.of("1", "2", "3"));
        model.qconfig(QConfig.qatForBackend("qnnpack"));
        Quantization.prepareQat(model);
        assertTrue(model.toString().contains("(1): LinearBnReLU1d("), model.toString());
        train(model, 30, 0.05);
        model.eval();
        Tensor x = Tensors.randn(20, 1, 6, 6);
        for (int i = 0; i < 500; i++) {
            try (var scope = new PointerScope()) {
                model.call(x);
            }
        }
        float[] rounded = Tensors.floats(model.call(x));

        Quantization.convert(model);

        float step = Tensors.floats(model.module("4").buffer("scale"))[0];
        assertArrayEquals(rounded, Tensors.floats(model.call(x)), 6 * step);
        assertEquals("Identity()", model.module("2").toString());
    }

    @Test
    @DisplayName("a transposed convolution can't be fused with its normalization for training")
    void transposed() {
        var model = new Sequential(new ConvTranspose2d(2, 2, 3), new BatchNorm2d(2));

        assertTrue(
                messageOf(() -> Quantization.fuseModulesQat(model, List.of("0", "1")))
                        .contains("transposed"));
    }
}
