package io.espalier.bench;

import io.espalier.quant.observer.HistogramObserver;
import io.espalier.quant.observer.MinMaxObserver;
import io.espalier.quant.observer.Observer;
import io.espalier.quant.observer.PerChannelMinMaxObserver;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
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

import java.util.concurrent.TimeUnit;

/** Looking at 6.4 million values, beside libtorch's own histogram and extremes. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Warmup(iterations = 2, time = 2)
@Measurement(iterations = 3, time = 2)
@Fork(1)
public class ObserverBenchmark {
    private static final long CHANNELS = 512;
    private static final long HISTC_BINS = 2048;

    private final Tensor values = Tensors.randn(CHANNELS, 12_500);
    private final Tensor rectified = values.relu();
    private final Observer histogram = HistogramObserver.with().make();
    private final Observer histogramOfRectified = HistogramObserver.with().make();
    private final Observer minMax = MinMaxObserver.with().make();
    private final Observer perChannel = PerChannelMinMaxObserver.with().make();

    /** A histogram of normally distributed values. */
    @Benchmark
    public void histogram() {
        histogram.call(values);
    }

    /** A histogram in which half of the values are the same. */
    @Benchmark
    public void histogramAfterReLU() {
        histogramOfRectified.call(rectified);
    }

    /** By libtorch's {@code histc}, which is told the range. */
    @Benchmark
    public void histc() {
        try (var scope = new PointerScope()) {
            values.histc(HISTC_BINS, new Scalar(-6), new Scalar(6));
        }
    }

    /** The extremes of all. */
    @Benchmark
    public void minMax() {
        minMax.call(values);
    }

    /** The extremes of each channel. */
    @Benchmark
    public void perChannel() {
        perChannel.call(values);
    }

    /** By libtorch's {@code amin} and {@code amax}. */
    @Benchmark
    public void aminAmax() {
        try (var scope = new PointerScope()) {
            values.amin(new long[] {1}, false);
            values.amax(new long[] {1}, false);
        }
    }
}
