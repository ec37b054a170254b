package io.espalier.onnx.quant.matmul;

import io.espalier.quant.accuracy.ChannelRanges;
import io.espalier.quant.observer.MinMaxObserver;
import io.espalier.quant.observer.QuantizationParameters;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;

/** The unsigned integers that a value maps to. */
final class ActivationRange {
    private ActivationRange() {}

    /** What covers all that was seen, and what the runtime finds for such a batch. */
    static QuantizationParameters covering(ChannelRanges seen) {
        try (var scope = new PointerScope()) {
            var observer = MinMaxObserver.with().eps(Float.MIN_NORMAL).make();
            observer.call(Tensors.of(seen.lowest(), seen.highest()));
            return observer.quantizationParameters();
        }
    }
}
