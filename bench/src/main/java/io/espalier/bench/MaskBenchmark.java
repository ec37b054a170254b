package io.espalier.bench;

import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

import java.util.concurrent.TimeUnit;

/** Masks of one layer or many by magnitude. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Warmup(iterations = 2, time = 2)
@Measurement(iterations = 3, time = 2)
@Fork(1)
public class MaskBenchmark {
    /** How many layers share the weights. */
    @Param({"1", "24"})
    int layers;

    /** How many rows and columns a layer has. */
    @Param({"1024", "4096"})
    int side;

    private Masks masks = Masks.of(1, 1, 1, 1);

    /** Draws the weights. */
    @Setup
    public void draw() {
        masks = Masks.of(layers, side, side / layers, 0.8);
    }

    /** By the library. */
    @Benchmark
    public void prune() {
        masks.byPrune();
    }

    /** By libtorch's {@code kthvalue}. */
    @Benchmark
    public void kthValue() {
        masks.byKthValue();
    }
}
