package io.espalier.onnx.quant.conv;

import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;

/** The mean of each channel, [N, C, …], over all that was added. */
final class ChannelMeans {
    private double[] sums = {};
    private long count;

    /** Adds a batch. */
    void add(Tensor tensor) {
        try (var scope = new PointerScope()) {
            long channels = tensor.size(1);
            Tensor means = tensor.reshape(tensor.size(0), channels, -1).mean(0L, 2L);
            float[] values = Tensors.floats(means);
            if (sums.length == 0) {
                sums = new double[values.length];
            }
            long positions = channels == 0 ? 0 : tensor.numel() / channels;
            for (int c = 0; c < values.length; c++) {
                sums[c] += (double) values[c] * positions;
            }
            count += positions;
        }
    }

    double[] means() {
        double[] means = sums.clone();
        for (int c = 0; c < means.length; c++) {
            means[c] /= Math.max(count, 1);
        }
        return means;
    }
}
