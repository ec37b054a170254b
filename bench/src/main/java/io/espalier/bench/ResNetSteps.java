package io.espalier.bench;

import io.espalier.bench.models.ResNet18;
import io.espalier.bench.models.Settled;
import io.espalier.nn.Module;
import io.espalier.quant.QConfig;
import io.espalier.quant.Quantization;
import io.espalier.tensor.Tensors;
import io.espalier.train.Losses;
import io.espalier.train.Optimizers;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Optimizer;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

import java.util.List;

/** Steps of training and calibrating a ResNet-18 for integers, beside the same in floats. */
final class ResNetSteps {
    private static final double RATE = 1e-4;

    private final Module plain;
    private final Module rounded;
    private final Module fused;
    private final Module calibrated;
    private final Optimizer plainOptimizer;
    private final Optimizer roundedOptimizer;
    private final Tensor x;
    private final Tensor y;

    /**
     * Four networks of one: float, in training for integers, fused, and calibrated.
     *
     * @param batch images in a step
     * @param side their height and width
     */
    ResNetSteps(int batch, long side) {
        x = Tensors.randn(batch, 3, side, side);
        y = Tensors.rand(batch).mul(new Scalar(1000)).to(torch.ScalarType.Long);
        plain = Settled.of(new ResNet18(), 2, 3, side, side);
        fused = plain.copy();
        List<List<String>> chains = Quantization.fuse(fused, x);
        calibrated = fused.copy();
        calibrated.qconfig(QConfig.forBackend("x86"));
        Quantization.prepare(calibrated);
        plain.train();
        rounded = plain.copy();
        Quantization.fuseModulesQat(rounded, chains);
        rounded.qconfig(QConfig.qatForBackend("x86"));
        Quantization.prepareQat(rounded);
        plainOptimizer = Optimizers.sgd(plain.parameters(), RATE);
        roundedOptimizer = Optimizers.sgd(rounded.parameters(), RATE);
    }

    /** A training step in floats. */
    void floatStep() {
        step(plain, plainOptimizer);
    }

    /** A training step with weights and activations rounded. */
    void roundedStep() {
        step(rounded, roundedOptimizer);
    }

    private void step(Module model, Optimizer optimizer) {
        try (var scope = new PointerScope()) {
            optimizer.zero_grad();
            Losses.crossEntropy().of(model.call(x), y).backward();
            optimizer.step();
        }
    }

    /** The fused float network, forward only. */
    void forward() {
        forward(fused);
    }

    /** The same, with a histogram of each layer's output. */
    void calibratingForward() {
        forward(calibrated);
    }

    private void forward(Module model) {
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            model.call(x);
        }
    }
}
