package io.espalier.onnx.compare;

import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/**
 * How far a value is from what it should be but for what is added to each of its channels, the last
 * dimension, in all rows alike: the part of the error that products after it can't make up for by
 * their biases. Quantizing lays channels about zero in that way.
 */
final class ShiftFreeError {
    /** Of fewer rows the means are mostly the errors themselves. */
    private static final long FEWEST_ROWS = 16;

    /** Of more dimensions the last are positions. */
    private static final int MOST_DIMENSIONS = 3;

    private double[] sums = {};
    private long rows;
    private double noise;
    private double reference;
    private boolean known = true;

    /** Adds a pair of one shape. */
    void add(Tensor expected, Tensor found) {
        if (!known || expected.dim() < 2 || expected.dim() > MOST_DIMENSIONS) {
            known = false;
            return;
        }
        try (var scope = new PointerScope()) {
            long channels = expected.size(-1);
            Tensor wanted = expected.to(ScalarType.Double).reshape(-1, channels);
            Tensor difference = found.to(ScalarType.Double).reshape(-1, channels).sub(wanted);
            addSums(Tensors.segment(difference.sum(0)).toArray(ValueLayout.JAVA_DOUBLE));
            rows += wanted.size(0);
            noise += difference.square().sum().item_double();
            reference += wanted.square().sum().item_double();
        }
    }

    private void addSums(double[] more) {
        if (sums.length == 0) {
            sums = more;
        } else if (sums.length != more.length) {
            known = false;
        } else {
            Arrays.setAll(sums, channel -> sums[channel] + more[channel]);
        }
    }

    /**
     * The length of the differences by that of what was expected.
     *
     * @param whole the same of all differences, where nothing is known of channels
     */
    double orElse(double whole) {
        if (!known || rows < FEWEST_ROWS || !Double.isFinite(noise)) {
            return whole;
        }
        double shift = Arrays.stream(sums).map(sum -> sum * sum / rows).sum();
        double rest = Math.max(0, noise - shift);
        return rest == 0 ? 0 : Math.min(whole, Math.sqrt(rest / reference));
    }
}
