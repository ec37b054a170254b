package io.espalier.quant;

import io.espalier.nn.BatchNorm2d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Flatten;
import io.espalier.nn.Functional;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.tensor.Tensors;
import io.espalier.train.Optimizers;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Optimizer;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;

import java.util.List;

/** A small network for the tests of quantization-aware training. */
final class QatNetwork {
    static final List<List<String>> CHAINS = List.of(List.of("0", "1", "2"), List.of("4", "5"));

    private QatNetwork() {}

    /** Convolution, normalization, ReLU, and two linear layers: [N, 1, 6, 6] to [N, 2]. */
    static Sequential network() {
        return new Sequential(
                new Conv2d(1, 4, 3),
                new BatchNorm2d(4),
                new ReLU(),
                new Flatten(),
                new Linear(64, 16),
                new ReLU(),
                new Linear(16, 2));
    }

    static Sequential prepared(QConfig qconfig) {
        Sequential model = network();
        Quantization.fuseModulesQat(model, CHAINS);
        model.qconfig(qconfig);
        Quantization.prepareQat(model);
        return model;
    }

    /** The target is a function of the input, so that there is something to learn. */
    static double train(Module model, int steps, double rate) {
        Optimizer optimizer = Optimizers.sgd(model.parameters(), rate);
        double loss = 0;
        Tensor x = Tensors.randn(16, 1, 6, 6);
        Tensor y = x.view(16, 2, 18).sum(2).mul(new Scalar(0.25f));
        for (int i = 0; i < steps; i++) {
            try (var step = new PointerScope()) {
                optimizer.zero_grad();
                Tensor error = Functional.mseLoss(model.call(x), y);
                error.backward();
                optimizer.step();
                loss = error.item_double();
            }
        }
        return loss;
    }
}
