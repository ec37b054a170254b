package io.espalier.onnx.export;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.AdaptiveAvgPool2d;
import io.espalier.nn.BatchNorm2d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Flatten;
import io.espalier.nn.Linear;
import io.espalier.nn.MaxPool2d;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.prune.Prune;
import io.espalier.quant.QConfig;
import io.espalier.quant.Quantization;
import io.espalier.slim.Slimming;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;
import io.espalier.train.Optimizers;

import org.bytedeco.pytorch.SGD;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.List;

@DisplayName("A pruned and slimmed model's file")
class SlimmedModelsTest {
    private static Sequential network() {
        return new Sequential(
                new Conv2d(1, 8, 3, o -> o.padding(1)),
                new BatchNorm2d(8),
                new ReLU(),
                new MaxPool2d(2),
                new Conv2d(8, 16, 3, o -> o.padding(1)),
                new BatchNorm2d(16),
                new ReLU(),
                new AdaptiveAvgPool2d(1),
                new Flatten(),
                new Linear(16, 4));
    }

    private static void train(Module model, Tensor x, int steps) {
        model.train();
        SGD sgd = Optimizers.sgd(model.parameters(), 0.01, 0.9);
        for (int step = 0; step < steps; step++) {
            sgd.zero_grad();
            model.call(x).square().sum().backward();
            sgd.step();
        }
    }

    private static long zeros(Module model) {
        Tensor weight = model.module("4").value("weight");
        return weight.numel() - weight.count_nonzero().item_long();
    }

    @Test
    @DisplayName("holds what masks, slimming, training, training for integers and conversion left")
    void wholeWay() {
        Libtorch.seed(2);
        Sequential model = network();
        Tensor x = Tensors.randn(8, 1, 8, 8);
        train(model, x, 2);
        Prune.l1Unstructured(model.module("4"), "weight", 0.5);
        model.eval();

        Slimming.of(model, x).ratio(0.5).run();
        long zeros = zeros(model);
        assertTrue(zeros > 4 * 8 * 9 / 4, () -> zeros + " zeros");
        train(model, x, 3);
        assertEquals(zeros, zeros(model));

        model.qconfig(QConfig.qatForBackend("x86"));
        List<List<String>> fused = List.of(List.of("0", "1", "2"), List.of("4", "5", "6"));
        Quantization.fuseModulesQat(model, fused);
        Quantization.prepareQat(model);
        train(model, x, 3);
        model.eval();
        Quantization.convert(model);

        Exported exported = Exported.of(model, x);
        exported.assertAgree(0.02, x);
        long weights =
                exported.file().graph().constants().values().stream()
                        .filter(constant -> constant.shape().equals(List.of(8L, 4L, 3L, 3L)))
                        .count();
        assertEquals(1, weights);
    }

    @Test
    @DisplayName("gives what a model out of which pruned channels were taken gives in integers")
    void prunedChannels() {
        Libtorch.seed(3);
        Sequential model = network();
        Tensor x = Tensors.randn(8, 1, 8, 8);
        train(model, x, 2);
        Prune.lnStructured(model.module("4"), "weight", 0.5, 1, 0);
        model.eval();

        Slimming.removePruned(model, x);
        Prune.remove(model.module("4"), "weight");
        Module program = Quantization.quantize(model, x, List.of(x));

        assertEquals(8, ((Conv2d) model.module("4")).outChannels());
        Exported.of(program, x).assertAgree(0.02, x);
    }
}
