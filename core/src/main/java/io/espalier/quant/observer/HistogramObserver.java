package io.espalier.quant.observer;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Keeps a histogram of all values seen and takes the range that loses least: PyTorch's {@code
 * HistogramObserver}.
 *
 * <p>The range of the histogram grows with the data; old counts are redistributed, and no count is
 * lost.
 */
public class HistogramObserver extends RangeObserver {
    /** PyTorch's number of bins. */
    static final int BINS = 2048;

    private final int bins;

    /** An observer with these settings and 2048 bins. */
    public HistogramObserver(ObserverSettings settings) {
        this(settings, BINS);
    }

    /**
     * An observer with these settings.
     *
     * @throws EspalierException if there are fewer than 2 bins
     */
    public HistogramObserver(ObserverSettings settings, int bins) {
        super(settings);
        if (bins < 2) {
            throw new EspalierException(
                    typeName() + " needs at least 2 bins; asked for " + bins + ".");
        }
        this.bins = bins;
        addBuffer("histogram", Tensors.zeros(bins));
        addRange();
    }

    /** The default settings, to change and to make observers of. */
    public static ObserverSettings with() {
        return ObserverSettings.of(HistogramObserver::new);
    }

    /** The default settings with so many bins. */
    public static ObserverSettings with(int bins) {
        return ObserverSettings.of(settings -> new HistogramObserver(settings, bins));
    }

    /** The number of bins. */
    public final int bins() {
        return bins;
    }

    @Override
    protected void observe(Tensor x) {
        Tensor values = flat(x);
        Extremes batch = extremes(values);
        float min = batch.min()[0];
        float max = batch.max()[0];
        if (min <= max) {
            float low = Math.min(min(), min);
            float high = Math.max(max(), max);
            Histogram counted =
                    Histogram.count(
                            Tensors.segment(values),
                            values.numel(),
                            low,
                            high,
                            bins,
                            batch.clean());
            add(counted);
        }
    }

    private void add(Histogram more) {
        Histogram sum = hasObserved() ? histogram().plus(more) : more;
        MemorySegment.copy(
                sum.counts(),
                0,
                Tensors.segment(buffer("histogram")),
                ValueLayout.JAVA_FLOAT,
                0,
                bins);
        setRange(sum.min(), sum.max());
    }

    /** What was seen so far. */
    final Histogram histogram() {
        return new Histogram(Tensors.floats(buffer("histogram")), min(), max());
    }

    @Override
    public final void reset() {
        super.reset();
        buffer("histogram").zero_();
    }

    @Override
    protected final void mergeObserved(Observer other) {
        var that = (HistogramObserver) other;
        if (that.bins != bins) {
            throw new EspalierException(
                    name()
                            + " has "
                            + bins
                            + " bins and can't be merged with one that has "
                            + that.bins
                            + ".");
        }
        add(that.histogram());
    }

    @Override
    public final QuantizationParameters quantizationParameters() {
        if (!hasObserved()) {
            throw nothingSeen();
        }
        Interval best = bestRange(histogram());
        return Affine.parameters(settings(), best.min(), best.max());
    }

    /** The range to quantize to, after what was seen. */
    Interval bestRange(Histogram seen) {
        return NormSearch.search(seen, dtype());
    }
}
