package io.espalier.quant.observer;

import org.bytedeco.pytorch.Tensor;

/** Keeps the smallest and the largest value seen: PyTorch's {@code MinMaxObserver}. */
public class MinMaxObserver extends RangeObserver {
    /** An observer with these settings. */
    public MinMaxObserver(ObserverSettings settings) {
        super(settings);
        addRange();
    }

    /** The default settings, to change and to make observers of. */
    public static ObserverSettings with() {
        return ObserverSettings.of(MinMaxObserver::new);
    }

    @Override
    protected void observe(Tensor x) {
        Extremes batch = extremes(flat(x));
        if (batch.min()[0] <= batch.max()[0]) {
            update(batch.min()[0], batch.max()[0]);
        }
    }

    /** Takes in a batch's smallest and largest value. */
    void update(float min, float max) {
        setRange(Math.min(min(), min), Math.max(max(), max));
    }

    @Override
    protected void mergeObserved(Observer other) {
        var that = (MinMaxObserver) other;
        setRange(Math.min(min(), that.min()), Math.max(max(), that.max()));
    }
}
