package io.espalier.quant.layer;

import static io.espalier.quant.observer.Qscheme.PER_TENSOR_SYMMETRIC;
import static io.espalier.quant.observer.QuantizedType.QINT8;

import io.espalier.quant.observer.MinMaxObserver;
import io.espalier.quant.observer.ObserverFactory;
import io.espalier.tensor.Engine;

/**
 * How a layer's weight becomes integers, and whose kernels compute with them.
 *
 * @param weight makes the observer of the weight
 * @param engine the library that the layer runs on
 */
public record Packing(ObserverFactory weight, Engine engine) {
    /**
     * The same for a transposed convolution, whose kernels take one scale for the weight: the plain
     * observer where the weight's has one for each channel.
     *
     * @param other the engine that runs it
     */
    Packing transposed(Engine other) {
        ObserverFactory one =
                weight.made().qscheme().isPerChannel()
                        ? MinMaxObserver.with().dtype(QINT8).qscheme(PER_TENSOR_SYMMETRIC)
                        : weight;
        return new Packing(one, other);
    }
}
