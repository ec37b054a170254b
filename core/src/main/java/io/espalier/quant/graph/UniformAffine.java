package io.espalier.quant.graph;

import io.espalier.nn.BatchNorm;
import io.espalier.nn.Module;
import io.espalier.quant.layer.QuantizedLayer.Range;
import io.espalier.tensor.Tensors;

import org.jspecify.annotations.Nullable;

import java.util.Optional;

/**
 * {@code scale · x + shift} with the same two numbers for all channels, which integers compute for
 * nothing: the codes of x are those of the result, only their scale and zero point are others.
 *
 * @param scale positive
 */
record UniformAffine(double scale, double shift) {
    /** Channels differ by no more than rounding does. */
    private static final double TOLERANCE = 1e-5;

    private static final int LARGEST = 255;

    /** What a batch normalization in inference computes, if it is such. */
    static Optional<UniformAffine> of(@Nullable Module module) {
        if (!(module instanceof BatchNorm norm)
                || !FloatLayers.isOne(norm)
                || norm.hasHooks()
                || norm.isTraining()
                || norm.runningMean().isEmpty()) {
            return Optional.empty();
        }
        float[] mean = Tensors.floats(norm.runningMean().orElseThrow());
        float[] variance = Tensors.floats(norm.runningVar().orElseThrow());
        float @Nullable [] weight = norm.weight() == null ? null : Tensors.floats(norm.weight());
        float @Nullable [] bias = norm.bias() == null ? null : Tensors.floats(norm.bias());
        UniformAffine first = null;
        for (int i = 0; i < mean.length; i++) {
            double scale = (weight == null ? 1 : weight[i]) / Math.sqrt(variance[i] + norm.eps());
            double shift = (bias == null ? 0 : bias[i]) - mean[i] * scale;
            var here = new UniformAffine(scale, shift);
            if (first == null) {
                first = here;
            } else if (!first.isLike(here)) {
                return Optional.empty();
            }
        }
        return Optional.ofNullable(first).filter(affine -> affine.scale > 0);
    }

    private boolean isLike(UniformAffine other) {
        return Math.abs(scale - other.scale) <= TOLERANCE * Math.abs(scale)
                && Math.abs(shift - other.shift)
                        <= TOLERANCE * Math.max(Math.abs(shift), Math.abs(scale));
    }

    /**
     * The range of x for which codes are those of a result of this range, made wider so that its
     * step divides the shift; empty if a zero had no code.
     */
    Optional<Range> before(Range result) {
        double steps = Math.abs(shift) / result.scale();
        long whole = (long) Math.floor(steps);
        if (whole == 0 && shift != 0) {
            return Optional.empty();
        }
        double step = shift == 0 ? result.scale() : Math.abs(shift) / whole;
        long zeroAfter = Math.round(result.zeroPoint() * (result.scale() / step));
        long zeroBefore = zeroAfter + (shift < 0 ? -whole : whole);
        return zeroBefore < 0 || zeroBefore > LARGEST
                ? Optional.empty()
                : Optional.of(new Range((float) (step / scale), (int) zeroBefore));
    }

    /** The range of the result whose codes are those of x; empty if there is none. */
    Optional<Range> after(Range x) {
        double step = x.scale() * scale;
        long whole = Math.round(shift / step);
        long zero = x.zeroPoint() - whole;
        boolean divides = Math.abs(shift / step - whole) <= 1e-3;
        return divides && zero >= 0 && zero <= LARGEST
                ? Optional.of(new Range((float) step, (int) zero))
                : Optional.empty();
    }
}
