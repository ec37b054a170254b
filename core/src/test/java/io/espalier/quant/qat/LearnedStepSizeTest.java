package io.espalier.quant.qat;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.data.Dataset;
import io.espalier.data.Mnist;
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
import io.espalier.tensor.Libtorch;
import io.espalier.train.Evaluator;
import io.espalier.train.LearningRate;
import io.espalier.train.Losses;
import io.espalier.train.Optimizers;
import io.espalier.train.Trainer;

import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.List;

/** Digits, by a depthwise network whose channels have ranges that differ sixty times. */
class LearnedStepSizeTest {
    private static final List<List<String>> CHAINS =
            List.of(List.of("0", "1"), List.of("2", "3"), List.of("4", "5"));

    private final Dataset digits = Mnist.train().take(2000);
    private int threads;

    @BeforeEach
    void oneThread() {
        threads = Libtorch.threads();
        Libtorch.threads(1);
        Libtorch.seed(1);
    }

    @AfterEach
    void threadsAsBefore() {
        Libtorch.threads(threads);
    }

    private static Sequential network() {
        return new Sequential(
                new Conv2d(1, 8, 5, o -> o.stride(2)),
                new ReLU(),
                new Conv2d(8, 8, 3, o -> o.stride(2).groups(8)),
                new ReLU(),
                new Conv2d(8, 16, 1),
                new ReLU(),
                new Flatten(),
                new Linear(400, 10));
    }

    private void train(Module model, int epochs, double rate) {
        Trainer.of(model, Losses.crossEntropy(), Optimizers.adam(model.parameters(), rate))
                .learningRate(LearningRate.cosine())
                .train(digits, epochs);
    }

    /** Computes the same with other ranges, as ReLU gives a multiple for a multiple. */
    private static void spread(Module first, Module second) {
        try (var guard = new NoGradGuard()) {
            for (int c = 0; c < 8; c++) {
                double factor = Math.pow(2, 0.85 * (c - 3.5));
                for (Tensor parameter : first.parameters()) {
                    parameter.select(0, c).mul_(new Scalar(factor));
                }
                second.parameter("weight").select(0, c).mul_(new Scalar(1 / factor));
            }
        }
    }

    private static ObserverSettings fourBits(ObserverSettings observer) {
        return observer.dtype(QuantizedType.QINT8)
                .qscheme(Qscheme.PER_TENSOR_SYMMETRIC)
                .quantRange(-8, 7);
    }

    private Module afterTraining(Module model, ObserverSettings weights) {
        Module copy = model.copy();
        Quantization.fuseModules(copy, CHAINS);
        copy.qconfig(new QConfig(HistogramObserver.with().reduceRange(true), weights));
        Quantization.prepare(copy);
        copy.call(digits.take(500).all().input());
        return Quantization.converted(copy);
    }

    private Module learned(Module model, ObserverSettings weights) {
        Module copy = model.copy();
        copy.train();
        Quantization.fuseModulesQat(copy, CHAINS);
        copy.qconfig(
                new QConfig(
                        FakeQuantize.with(MovingAverageMinMaxObserver.with().reduceRange(true)),
                        LearnableFakeQuantize.with(weights)));
        Quantization.prepareQat(copy);
        train(copy, 5, 4e-3);
        return Quantization.converted(copy);
    }

    @Test
    @DisplayName(
            "4-bit weights that lose more than 5 points after training lose less than 1 by LSQ")
    void bringsAccuracyBack() {
        Sequential model = network();
        train(model, 6, 5e-3);
        spread(model.get(0), model.get(2));
        model.eval();
        Evaluator accuracy = Evaluator.accuracy(Mnist.test().take(1000));
        double reference = accuracy.evaluate(model);

        double largest = accuracy.evaluate(afterTraining(model, fourBits(MinMaxObserver.with())));
        double leastError = accuracy.evaluate(afterTraining(model, fourBits(MseObserver.with())));
        double lsq = accuracy.evaluate(learned(model, fourBits(MseObserver.with())));

        assertTrue(reference > 0.8, "float " + reference);
        assertTrue(largest < reference - 0.05, "largest weight " + largest + " of " + reference);
        assertTrue(leastError < reference - 0.05, "least error " + leastError + " of " + reference);
        assertTrue(lsq > reference - 0.01, "LSQ " + lsq + " of " + reference);
    }
}
