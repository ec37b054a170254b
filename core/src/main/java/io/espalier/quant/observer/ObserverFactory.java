package io.espalier.quant.observer;

import io.espalier.tensor.Needed;

/**
 * Makes a fresh observer, or a fresh fake quantization, for each place in a model that needs one.
 */
@FunctionalInterface
public interface ObserverFactory {
    /**
     * A new observer that has seen nothing.
     *
     * @throws io.espalier.tensor.EspalierException if the settings don't go together
     */
    Observer make();

    /**
     * What {@link #make} gives.
     *
     * @throws io.espalier.tensor.EspalierException if that is null
     */
    default Observer made() {
        return Needed.given(make(), "an observer");
    }
}
