package io.espalier.onnx.quant.matmul;

import io.espalier.quant.accuracy.ChannelRanges;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;

/**
 * Some rows of a value from one batch, and the ranges of its channels over the whole batch, which
 * decide how the batch is quantized if that is done while the model runs.
 *
 * @param rows [n, channels]
 * @param ranges of each channel
 */
record ActivationSample(Tensor rows, ChannelRanges ranges) {
    /** The sample when so much is taken from each channel. */
    ActivationSample minus(float[] shift) {
        return new ActivationSample(rows.sub(Tensors.of(shift)), ranges.minus(shift));
    }
}
