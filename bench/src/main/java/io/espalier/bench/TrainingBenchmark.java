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

/** A training step: with masks, without, and of bare calls. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Warmup(iterations = 2, time = 3)
@Measurement(iterations = 3, time = 3)
@Fork(1)
public class TrainingBenchmark {
    private final Training plain = new Training(32, 1);
    private final Training masked = new Training(32, 1).masked();

    /** By modules whose weights are masked. */
    @Benchmark
    public void masked() {
        masked.step();
    }

    /** By modules without masks. */
    @Benchmark
    public void unmasked() {
        plain.step();
    }

    /** By bare calls of libtorch. */
    @Benchmark
    public void bareCalls() {
        plain.bareStep();
    }
}
