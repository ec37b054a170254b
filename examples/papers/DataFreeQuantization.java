// Data-free quantization (Nagel et al., ICCV 2019) on MNIST with a network of MobileNetV2's
// blocks whose channels have ranges from 1/100 to 100.
//
// MobileNets have such ranges from their training; a network for digits has not, so here the
// first normalization of each block starts with factors drawn from 1/100 to 100 (evenly by their
// logarithm) and is trained from there. ReLU stands for ReLU6, as the paper puts it in. Weights
// and activations are quantized to 8 bits (activations to 7, as the kernels of x86 want it).
// Ranges of activations and the mean inputs that the bias correction needs come from 512 training
// digits, where the paper takes them from the normalizations' statistics. Each accuracy is of the
// converted model, which computes in integers, on the 10,000 test digits. No run chooses by them,
// but the spread of the factors was widened until a naive conversion failed.
//
//   ./espalier run examples/papers/DataFreeQuantization.java

import io.espalier.data.Dataset;
import io.espalier.data.Mnist;
import io.espalier.nn.AdaptiveAvgPool2d;
import io.espalier.nn.BatchNorm2d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Flatten;
import io.espalier.nn.FloatFunctional;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.quant.QConfig;
import io.espalier.quant.Quantization;
import io.espalier.quant.accuracy.BiasCorrection;
import io.espalier.quant.accuracy.Equalization;
import io.espalier.quant.observer.ObserverFactory;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;
import io.espalier.train.Evaluator;
import io.espalier.train.LearningRate;
import io.espalier.train.Losses;
import io.espalier.train.Optimizers;
import io.espalier.train.Trainer;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;

import java.util.List;

/** MobileNetV2's block: more channels, each filtered by itself, fewer channels. */
static final class Bottleneck extends Module {
    final Conv2d expand;
    final BatchNorm2d norm1;
    final ReLU relu1 = add("relu1", new ReLU());
    final Conv2d depthwise;
    final BatchNorm2d norm2;
    final ReLU relu2 = add("relu2", new ReLU());
    final Conv2d project;
    final BatchNorm2d norm3;
    final boolean isResidual;
    final FloatFunctional sum = new FloatFunctional();

    Bottleneck(long in, long inside, long out, long stride) {
        expand = add("expand", new Conv2d(in, inside, 1, o -> o.bias(false)));
        norm1 = add("norm1", new BatchNorm2d(inside));
        depthwise =
                add(
                        "depthwise",
                        new Conv2d(
                                inside,
                                inside,
                                3,
                                o -> o.groups(inside).padding(1).stride(stride).bias(false)));
        norm2 = add("norm2", new BatchNorm2d(inside));
        project = add("project", new Conv2d(inside, out, 1, o -> o.bias(false)));
        norm3 = add("norm3", new BatchNorm2d(out));
        isResidual = in == out && stride == 1;
        if (isResidual) {
            add("sum", sum);
        }
        Tensor exponents = Tensors.rand(inside).mul(new Scalar(4)).sub(new Scalar(2));
        Tensor factors = exponents.mul(new Scalar(Math.log(10))).exp();
        norm1.parameter("weight").detach().copy_(factors);
    }

    @Override
    protected Tensor forward(Tensor x) {
        Tensor wide = relu1.call(norm1.call(expand.call(x)));
        Tensor filtered = relu2.call(norm2.call(depthwise.call(wide)));
        Tensor y = norm3.call(project.call(filtered));
        return isResidual ? sum.add(x, y) : y;
    }
}

static Sequential network() {
    return new Sequential(
            new Conv2d(1, 16, 3, o -> o.stride(2).padding(1)),
            new BatchNorm2d(16),
            new ReLU(),
            new Bottleneck(16, 48, 16, 2),
            new Bottleneck(16, 48, 16, 1),
            new Bottleneck(16, 48, 24, 1),
            new Conv2d(24, 64, 1),
            new BatchNorm2d(64),
            new ReLU(),
            new AdaptiveAvgPool2d(1),
            new Flatten(),
            new Linear(64, 10));
}

static Sequential converted(Sequential model, ObserverFactory weights, Tensor calibration) {
    Sequential copy = model.copy();
    copy.qconfig(new QConfig(QConfig.forBackend("x86").activation(), weights));
    Quantization.prepare(copy);
    copy.call(calibration);
    Quantization.convert(copy);
    return copy;
}

void main() {
    long start = System.nanoTime();
    Libtorch.seed(1);
    Dataset digits = Mnist.train().take(30_000);
    Tensor calibration = digits.take(512).all().input();
    Evaluator accuracy = Evaluator.accuracy(Mnist.test());
    Sequential model = network();
    Trainer.of(
                    model,
                    Losses.crossEntropy(),
                    Optimizers.sgd(model.parameters(), 0.1, s -> s.momentum(0.9).weightDecay(1e-4)))
            .batchSize(128)
            .learningRate(LearningRate.cosine())
            .train(digits, 3);
    model.eval();
    print("float", accuracy.evaluate(model));

    Quantization.fuse(model, calibration);
    ObserverFactory perTensor = QConfig.forBackend("qnnpack").weight();
    ObserverFactory perChannel = QConfig.forBackend("x86").weight();
    print(
            "int8, one scale for a weight",
            accuracy.evaluate(converted(model, perTensor, calibration)));
    print(
            "int8, a scale for each channel",
            accuracy.evaluate(converted(model, perChannel, calibration)));

    for (List<String> chain : Equalization.chains(model, calibration)) {
        Equalization.apply(model, chain);
    }
    print("float, equalized", accuracy.evaluate(model));
    Sequential quantized = converted(model, perTensor, calibration);
    print("int8, one scale, equalized", accuracy.evaluate(quantized));
    BiasCorrection.apply(model, quantized, List.of(calibration));
    print("int8, one scale, equalized, biases corrected", accuracy.evaluate(quantized));
    IO.println("%.0f s".formatted((System.nanoTime() - start) / 1e9));
}

static void print(String what, double accuracy) {
    IO.println("%-46s %6.2f %%".formatted(what, 100 * accuracy));
}
