package io.espalier.quant.observer;

import io.espalier.tensor.EspalierException;

import org.bytedeco.pytorch.Tensor;

/** An observer that does not look for a scale. */
abstract class UnscaledObserver extends Observer {
    UnscaledObserver(ObserverSettings settings) {
        super(settings);
    }

    @Override
    protected void observe(Tensor x) {}

    @Override
    public QuantizationParameters quantizationParameters() {
        throw new EspalierException(
                name()
                        + " looks for no scale; use MinMaxObserver or HistogramObserver where"
                        + " quantization parameters are needed.");
    }

    @Override
    public boolean hasObserved() {
        return false;
    }

    @Override
    public void reset() {}

    @Override
    protected void mergeObserved(Observer other) {}
}
