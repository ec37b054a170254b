package io.espalier.quant.accuracy;

import io.espalier.quant.observer.PerChannelMinMaxObserver;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Internal;

import java.util.Arrays;

/**
 * The smallest and the largest value of each channel of a tensor that is to be quantized with one
 * scale, and what can be done about channels that need a scale of their own.
 *
 * <p>A channel that lies off zero wastes the range: it can be <em>shifted</em> to its centre, if
 * what gives the tensor adds a constant and what reads it takes that back. A channel that is many
 * times wider than the others can be <em>divided</em>, and the weights that it meets multiplied.
 *
 * <p>Sources: Wei et al., <a href="https://arxiv.org/abs/2304.09145">Outlier Suppression+</a>,
 * 2023, for the shift; Xiao et al., <a href="https://arxiv.org/abs/2211.10438">SmoothQuant</a>,
 * 2022, for the division, here of outlying channels alone.
 *
 * @param min the smallest value of each channel
 * @param max the largest value of each channel
 */
@SuppressWarnings("ArrayRecordComponent") // made fresh, and never compared
@Internal
public record ChannelRanges(float[] min, float[] max) {
    /**
     * Ranges of as many channels as there are values in each array.
     *
     * @throws EspalierException if there are none, or not as many of both
     */
    public ChannelRanges {
        if (min.length == 0 || min.length != max.length) {
            throw new EspalierException(
                    "Ranges need one smallest and one largest value for each channel; got %d and %d."
                            .formatted(min.length, max.length));
        }
    }

    /** What an observer saw. */
    public static ChannelRanges of(PerChannelMinMaxObserver observer) {
        return new ChannelRanges(observer.mins(), observer.maxs());
    }

    /** How many channels there are. */
    public int channels() {
        return min.length;
    }

    /** The middle of each channel's range: what to take from it so that it lies about zero. */
    public float[] centres() {
        float[] centres = new float[min.length];
        for (int c = 0; c < centres.length; c++) {
            centres[c] = min[c] / 2 + max[c] / 2;
        }
        return centres;
    }

    /** The largest magnitude of each channel. */
    public float[] magnitudes() {
        float[] magnitudes = new float[min.length];
        for (int c = 0; c < magnitudes.length; c++) {
            magnitudes[c] = Math.max(Math.abs(min[c]), Math.abs(max[c]));
        }
        return magnitudes;
    }

    /** The ranges when so much is taken from each channel. */
    public ChannelRanges minus(float[] shift) {
        float[] low = min.clone();
        float[] high = max.clone();
        for (int c = 0; c < low.length; c++) {
            low[c] -= shift[c];
            high[c] -= shift[c];
        }
        return new ChannelRanges(low, high);
    }

    /** The ranges when each channel is divided by its positive factor. */
    public ChannelRanges dividedBy(float[] factors) {
        float[] low = min.clone();
        float[] high = max.clone();
        for (int c = 0; c < low.length; c++) {
            low[c] /= factors[c];
            high[c] /= factors[c];
        }
        return new ChannelRanges(low, high);
    }

    /** The smallest value of all channels. */
    public float lowest() {
        float lowest = Float.POSITIVE_INFINITY;
        for (float value : min) {
            lowest = Math.min(lowest, value);
        }
        return lowest;
    }

    /** The largest value of all channels. */
    public float highest() {
        float highest = Float.NEGATIVE_INFINITY;
        for (float value : max) {
            highest = Math.max(highest, value);
        }
        return highest;
    }

    /**
     * What to divide each channel by so that outliers come nearer to the others, which stay as they
     * are: {@code s = max(1, a / q)^strength}, with {@code a} the channel's largest magnitude and
     * {@code q} the quantile of all channels' {@code a}.
     *
     * @param quantile the share of channels that are no outliers, 0…1
     * @param strength 0 leaves all as it is, 1 brings each outlier down to {@code q}
     * @throws EspalierException if one of them is out of range
     */
    public float[] outlierFactors(double quantile, double strength) {
        if (!(quantile >= 0 && quantile <= 1 && strength >= 0 && strength <= 1)) {
            throw new EspalierException(
                    "Outliers are told by a quantile and a strength of 0…1; got %s and %s."
                            .formatted(quantile, strength));
        }
        float[] factors = magnitudes();
        double ordinary = quantile(factors, quantile);
        for (int c = 0; c < factors.length; c++) {
            factors[c] =
                    ordinary > 0 && factors[c] > ordinary
                            ? (float) Math.pow(factors[c] / ordinary, strength)
                            : 1;
        }
        return factors;
    }

    /** The quantile of values, between two of them where it falls there. */
    private static double quantile(float[] values, double share) {
        float[] sorted = values.clone();
        Arrays.sort(sorted);
        double place = share * (sorted.length - 1);
        int below = (int) place;
        int above = Math.min(below + 1, sorted.length - 1);
        return sorted[below] + (place - below) * (sorted[above] - sorted[below]);
    }
}
