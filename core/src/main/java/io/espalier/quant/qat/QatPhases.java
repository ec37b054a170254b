package io.espalier.quant.qat;

import io.espalier.nn.Module;

/**
 * What usually changes from one phase of quantization-aware training to the next, in all of a model
 * that {@code Quantization.prepareQat} prepared: values are rounded only after some steps, ranges
 * and statistics of batch normalizations stay where they are in the last epochs.
 *
 * <p>Every method fails with an {@link io.espalier.tensor.EspalierException} if the model has no
 * fake quantization.
 */
public final class QatPhases {
    private QatPhases() {}

    /** Lets all fake quantizations round, as they do at first, or pass values unchanged. */
    public static void enableFakeQuantization(Module model, boolean enabled) {
        Rounding.in(model).forEach(fake -> fake.enableFakeQuant(enabled));
    }

    /** Lets the ranges of all fake quantizations follow the data, as they do at first, or stay. */
    public static void enableObservers(Module model, boolean enabled) {
        Rounding.in(model).forEach(fake -> fake.enableObserver(enabled));
    }

    /**
     * Stops the statistics of batch normalizations where they are, also in training, or lets them
     * go on. As PyTorch's {@code freeze_bn_stats} and {@code update_bn_stats}.
     */
    public static void freezeBatchNorm(Module model, boolean frozen) {
        QatLayer.in(model).forEach(layer -> layer.freezeStatistics(frozen));
    }
}
