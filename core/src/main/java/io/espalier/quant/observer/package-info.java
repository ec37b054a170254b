/**
 * Observers: each finds, from the values that pass through it, the {@code QuantizationParameters}
 * that fit them. PyTorch's {@code torch.ao.quantization.observer}.
 *
 * <p>Knows nothing of models, layers or the steps of quantization. To add an observer, extend
 * {@code Observer} or, to change only how a histogram is cut, {@code HistogramObserver}.
 */
@NullMarked
package io.espalier.quant.observer;

import org.jspecify.annotations.NullMarked;
