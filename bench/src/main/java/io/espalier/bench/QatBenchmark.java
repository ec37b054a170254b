package io.espalier.bench;

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
import io.espalier.tensor.Tensors;
import io.espalier.train.Losses;
import io.espalier.train.Optimizers;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Optimizer;
import org.bytedeco.pytorch.Tensor;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;

/** A training step and a calibrating step of a convolutional network, beside the float model's. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Warmup(iterations = 2, time = 5)
@Measurement(iterations = 3, time = 5)
@Fork(1)
public class QatBenchmark {
    private static final int BLOCKS = 6;

    private final Sequential plain = network();
    private final Sequential rounded = plain.copy();
    private final Sequential fused = plain.copy();
    private final Sequential calibrated = plain.copy();
    private final Optimizer plainOptimizer = Optimizers.sgd(plain.parameters(), 0.001);
    private final Optimizer roundedOptimizer;
    private final Tensor x = Tensors.randn(8, 3, 56, 56);
    private final Tensor y = Tensors.of(new long[] {0, 1, 2, 3, 4, 5, 6, 7}, 8);

    /** Four models of one: float, in training for integers, fused, and calibrated. */
    public QatBenchmark() {
        Quantization.fuseModulesQat(rounded, chains());
        rounded.qconfig(QConfig.qatForBackend("x86"));
        Quantization.prepareQat(rounded);
        roundedOptimizer = Optimizers.sgd(rounded.parameters(), 0.001);
        for (Sequential model : List.of(fused, calibrated)) {
            model.eval();
            Quantization.fuseModules(model, chains());
        }
        calibrated.qconfig(QConfig.forBackend("x86"));
        Quantization.prepare(calibrated);
    }

    private static Sequential network() {
        var model = new Sequential();
        long in = 3;
        for (int i = 0; i < BLOCKS; i++) {
            long out = i < BLOCKS / 2 ? 64 : 128;
            long stride = in == 64 && out == 128 ? 2 : 1;
            model.append(new Conv2d(in, out, 3, with -> with.padding(1).stride(stride).bias(false)))
                    .append(new BatchNorm2d(out))
                    .append(new ReLU());
            in = out;
        }
        return model.append(new AdaptiveAvgPool2d(1))
                .append(new Flatten())
                .append(new Linear(in, 10));
    }

    private static List<List<String>> chains() {
        return IntStream.range(0, BLOCKS)
                .mapToObj(i -> List.of("" + 3 * i, "" + (3 * i + 1), "" + (3 * i + 2)))
                .toList();
    }

    /** A step in floats. */
    @Benchmark
    public void floatStep() {
        step(plain, plainOptimizer);
    }

    /** A step with weights and activations rounded. */
    @Benchmark
    public void roundedStep() {
        step(rounded, roundedOptimizer);
    }

    private void step(Module model, Optimizer optimizer) {
        try (var scope = new PointerScope()) {
            optimizer.zero_grad();
            Losses.crossEntropy().of(model.call(x), y).backward();
            optimizer.step();
        }
    }

    /** The fused float model, forward only. */
    @Benchmark
    public void forward() {
        forward(fused);
    }

    /** The same, with a histogram of each layer's output. */
    @Benchmark
    public void calibratingForward() {
        forward(calibrated);
    }

    private void forward(Module model) {
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            model.call(x);
        }
    }
}
