// Adaptive rounding (Nagel et al., ICML 2020) on MNIST with a small network of
// depthwise-separable convolutions, against rounding each weight to the nearest integer.
//
// Weights have 4 bits or 3, with one scale for a layer or one for each output channel;
// activations have 7 bits. Ranges and rounding come from 1024 training digits without their
// labels. Each accuracy is of the converted model, which computes in integers, on the 10,000 test
// digits; nothing is chosen by them.
//
//   ./espalier run examples/papers/AdaptiveRounding.java

import io.espalier.data.Batch;
import io.espalier.data.DataLoader;
import io.espalier.data.Dataset;
import io.espalier.data.Mnist;
import io.espalier.nn.AdaptiveAvgPool2d;
import io.espalier.nn.BatchNorm2d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Flatten;
import io.espalier.nn.Linear;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.quant.QConfig;
import io.espalier.quant.Quantization;
import io.espalier.quant.accuracy.AdaRound;
import io.espalier.quant.observer.HistogramObserver;
import io.espalier.quant.observer.MinMaxObserver;
import io.espalier.quant.observer.ObserverSettings;
import io.espalier.quant.observer.PerChannelMinMaxObserver;
import io.espalier.quant.observer.Qscheme;
import io.espalier.quant.observer.QuantizedType;
import io.espalier.tensor.Libtorch;
import io.espalier.train.Evaluator;
import io.espalier.train.LearningRate;
import io.espalier.train.Losses;
import io.espalier.train.Optimizers;
import io.espalier.train.Trainer;

import org.bytedeco.pytorch.Tensor;

import java.util.ArrayList;
import java.util.List;

static Sequential network() {
    return new Sequential(
            new Conv2d(1, 16, 5, o -> o.stride(2).padding(2)),
            new BatchNorm2d(16),
            new ReLU(),
            new Conv2d(16, 16, 3, o -> o.stride(2).padding(1).groups(16)),
            new BatchNorm2d(16),
            new ReLU(),
            new Conv2d(16, 32, 1),
            new BatchNorm2d(32),
            new ReLU(),
            new Conv2d(32, 32, 3, o -> o.padding(1).groups(32)),
            new BatchNorm2d(32),
            new ReLU(),
            new Conv2d(32, 64, 1),
            new BatchNorm2d(64),
            new ReLU(),
            new AdaptiveAvgPool2d(1),
            new Flatten(),
            new Linear(64, 10));
}

static ObserverSettings weights(int bits, boolean perChannel) {
    ObserverSettings observer =
            perChannel
                    ? PerChannelMinMaxObserver.with().qscheme(Qscheme.PER_CHANNEL_SYMMETRIC)
                    : MinMaxObserver.with().qscheme(Qscheme.PER_TENSOR_SYMMETRIC);
    int half = 1 << (bits - 1);
    return observer.dtype(QuantizedType.QINT8).quantRange(-half, half - 1);
}

static Sequential converted(Sequential model, List<Tensor> calibration) {
    Sequential copy = model.copy();
    Quantization.prepare(copy);
    calibration.forEach(copy::call);
    Quantization.convert(copy);
    return copy;
}

void main() {
    long start = System.nanoTime();
    Libtorch.seed(1);
    Dataset digits = Mnist.train().take(30_000);
    Evaluator accuracy = Evaluator.accuracy(Mnist.test());
    Sequential model = network();
    Trainer.of(model, Losses.crossEntropy(), Optimizers.adam(model.parameters(), 5e-3))
            .batchSize(128)
            .learningRate(LearningRate.cosine())
            .train(digits, 5);
    model.eval();
    IO.println("float %.2f %%".formatted(100 * accuracy.evaluate(model)));

    List<Tensor> calibration = new ArrayList<>();
    for (Batch batch : new DataLoader(digits.take(1024), 128)) {
        calibration.add(batch.input().clone());
    }
    Quantization.fuse(model, calibration.getFirst());
    IO.println("%-5s %-8s %10s %10s".formatted("bits", "scales", "nearest", "AdaRound"));
    for (int bits : new int[] {4, 3}) {
        for (boolean perChannel : new boolean[] {false, true}) {
            Sequential rounded = model.copy();
            rounded.qconfig(
                    new QConfig(
                            HistogramObserver.with().reduceRange(true), weights(bits, perChannel)));
            double nearest = accuracy.evaluate(converted(rounded, calibration));
            AdaRound.apply(rounded, calibration);
            double learned = accuracy.evaluate(converted(rounded, calibration));
            IO.println(
                    "%-5d %-8s %8.2f %% %8.2f %%"
                            .formatted(
                                    bits,
                                    perChannel ? "channel" : "layer",
                                    100 * nearest,
                                    100 * learned));
        }
    }
    IO.println("%.0f s".formatted((System.nanoTime() - start) / 1e9));
}
