// Learned step size quantization (Esser et al., ICLR 2020) on MNIST with a small network of
// depthwise-separable convolutions, against rounding after training.
//
// All weights have 4 bits, or 2, and one scale for a layer; activations have 7 bits. After
// training, the scales come from the largest weight, or are those of least squared error. By LSQ
// they start at the latter and are trained with the weights, from the float network on: for 3
// epochs, and for 2 more at a lower rate with the statistics of the normalizations frozen. The
// float network is trained on for as long, to see what training alone gives. The paper keeps the
// first and last layer in 8 bits; here they have no more than the others. Each accuracy is of the
// converted model, which computes in integers, on the 10,000 test digits. No run chooses by them,
// but the freezing was put in after 2 bits without it had been seen to stay at 82 %.
//
//   ./espalier run examples/papers/LearnedStepSize.java

import io.espalier.data.Dataset;
import io.espalier.data.Mnist;
import io.espalier.nn.AdaptiveAvgPool2d;
import io.espalier.nn.BatchNorm2d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Flatten;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.quant.QConfig;
import io.espalier.quant.Quantization;
import io.espalier.quant.observer.HistogramObserver;
import io.espalier.quant.observer.MinMaxObserver;
import io.espalier.quant.observer.MovingAverageMinMaxObserver;
import io.espalier.quant.observer.MseObserver;
import io.espalier.quant.observer.ObserverSettings;
import io.espalier.quant.observer.Qscheme;
import io.espalier.quant.observer.QuantizedType;
import io.espalier.quant.qat.FakeQuantize;
import io.espalier.quant.qat.LearnableFakeQuantize;
import io.espalier.quant.qat.QatPhases;
import io.espalier.tensor.Libtorch;
import io.espalier.train.Evaluator;
import io.espalier.train.LearningRate;
import io.espalier.train.Losses;
import io.espalier.train.Optimizers;
import io.espalier.train.Trainer;

import org.bytedeco.pytorch.Tensor;

import java.util.List;

static final List<List<String>> CHAINS =
        List.of(
                List.of("0", "1", "2"),
                List.of("3", "4", "5"),
                List.of("6", "7", "8"),
                List.of("9", "10", "11"),
                List.of("12", "13", "14"));

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

static void train(Module model, Dataset digits, int epochs, double rate) {
    Trainer.of(model, Losses.crossEntropy(), Optimizers.adam(model.parameters(), rate))
            .batchSize(128)
            .learningRate(LearningRate.cosine())
            .train(digits, epochs);
}

/** One scale for a weight of so many bits. */
static ObserverSettings weights(ObserverSettings observer, int bits) {
    int half = 1 << (bits - 1);
    return observer.dtype(QuantizedType.QINT8)
            .qscheme(Qscheme.PER_TENSOR_SYMMETRIC)
            .quantRange(-half, half - 1);
}

static Sequential afterTraining(Sequential model, ObserverSettings weights, Tensor calibration) {
    Sequential copy = model.copy();
    copy.eval();
    Quantization.fuseModules(copy, CHAINS);
    copy.qconfig(new QConfig(HistogramObserver.with().reduceRange(true), weights));
    Quantization.prepare(copy);
    copy.call(calibration);
    Quantization.convert(copy);
    return copy;
}

static Sequential learned(Sequential model, int bits, Dataset digits) {
    Sequential copy = model.copy();
    copy.train();
    Quantization.fuseModulesQat(copy, CHAINS);
    copy.qconfig(
            new QConfig(
                    FakeQuantize.with(MovingAverageMinMaxObserver.with().reduceRange(true)),
                    LearnableFakeQuantize.with(weights(MseObserver.with(), bits))));
    Quantization.prepareQat(copy);
    train(copy, digits, 3, 5e-3);
    QatPhases.freezeBatchNorm(copy, true);
    train(copy, digits, 2, 1e-3);
    return Quantization.converted(copy);
}

void main() {
    long start = System.nanoTime();
    Libtorch.seed(1);
    Dataset digits = Mnist.train().take(30_000);
    Tensor calibration = digits.take(512).all().input();
    Evaluator accuracy = Evaluator.accuracy(Mnist.test());
    Sequential model = network();
    train(model, digits, 5, 5e-3);
    Sequential trainedOn = model.copy();
    train(trainedOn, digits, 3, 5e-3);
    train(trainedOn, digits, 2, 1e-3);
    IO.println(
            "float %.2f %%, trained on %.2f %%"
                    .formatted(100 * accuracy.evaluate(model), 100 * accuracy.evaluate(trainedOn)));
    IO.println("%-5s %16s %16s %8s".formatted("bits", "largest weight", "least error", "LSQ"));
    for (int bits : new int[] {4, 2}) {
        double largest =
                accuracy.evaluate(
                        afterTraining(model, weights(MinMaxObserver.with(), bits), calibration));
        double leastError =
                accuracy.evaluate(
                        afterTraining(model, weights(MseObserver.with(), bits), calibration));
        double lsq = accuracy.evaluate(learned(model, bits, digits));
        IO.println(
                "%-5d %14.2f %% %14.2f %% %6.2f %%"
                        .formatted(bits, 100 * largest, 100 * leastError, 100 * lsq));
    }
    IO.println("%.0f s".formatted((System.nanoTime() - start) / 1e9));
}
