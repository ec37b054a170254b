package io.espalier.quant.observer;

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
}
