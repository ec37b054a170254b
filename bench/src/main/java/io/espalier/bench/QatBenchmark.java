package io.espalier.bench;

import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

import java.util.concurrent.TimeUnit;

/** A training step and a calibrating step of a ResNet-18, beside the float network's. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Warmup(iterations = 2, time = 5)
@Measurement(iterations = 3, time = 5)
@Fork(1)
public class QatBenchmark {
    private final ResNetSteps steps = new ResNetSteps(8, 224);

    /** A step in floats. */
    @Benchmark
    public void floatStep() {
        steps.floatStep();
    }

    /** A step with weights and activations rounded. */
    @Benchmark
    public void roundedStep() {
        steps.roundedStep();
    }

    /** The fused float network, forward only. */
    @Benchmark
    public void forward() {
        steps.forward();
    }

    /** The same, with a histogram of each layer's output. */
    @Benchmark
    public void calibratingForward() {
        steps.calibratingForward();
    }
}
