package io.espalier.bench;

import io.espalier.quant.observer.HistogramObserver;
import io.espalier.quant.observer.Observer;
import io.espalier.quant.observer.PerChannelMinMaxObserver;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;

/** Looking at values, by observers and by libtorch's operators. */
final class Observers {
    private static final long BINS = 2048;

    private final Tensor values;
    private final Observer histogram = HistogramObserver.with().make();
    private final Observer perChannel = PerChannelMinMaxObserver.with().make();

    /** Values drawn from the standard normal distribution. */
    Observers(long channels, long each) {
        values = Tensors.randn(channels, each);
    }

    long count() {
        return values.numel();
    }

    void histogram() {
        histogram.call(values);
    }

    void histc() {
        try (var scope = new PointerScope()) {
            values.histc(BINS, new Scalar(-6), new Scalar(6));
        }
    }

    void perChannel() {
        perChannel.call(values);
    }

    void aminAmax() {
        try (var scope = new PointerScope()) {
            values.amin(new long[] {1}, false);
            values.amax(new long[] {1}, false);
        }
    }
}
