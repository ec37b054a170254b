package io.espalier.quant.layer;

import io.espalier.quant.observer.ObserverFactory;

import java.util.Optional;

/** What is the same for all layers whose weight and input become integers. */
interface WeightInIntegers extends LayerKind {
    @Override
    default boolean isQuantized() {
        return true;
    }

    @Override
    default boolean hasWeight() {
        return true;
    }

    @Override
    default boolean quantizesInput() {
        return true;
    }

    @Override
    default Optional<ObserverFactory> observer(ObserverFactory activation, boolean training) {
        return Optional.of(activation);
    }
}
