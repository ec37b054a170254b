package io.espalier.quant.observer;

/**
 * Takes the range in which the distribution of the quantized values tells least apart from the
 * distribution of the values themselves (the least Kullback–Leibler divergence).
 *
 * <p>As TensorRT does it: magnitudes are counted in bins; for each threshold, what lies beyond goes
 * into the last bin, and the distribution is compared with itself at the number of levels that
 * integers have. Source: Migacz, 8-bit Inference with TensorRT, GPU Technology Conference 2017.
 */
public class EntropyObserver extends HistogramObserver {
    /** So many thresholds are tried; neighbours differ by little. */
    private static final int CANDIDATES = 512;

    /** Stands for a probability of zero, where clamped values fall into a bin that was empty. */
    private static final double SMALLEST = 1e-9;

    /** An observer with these settings. */
    public EntropyObserver(ObserverSettings settings) {
        super(settings);
    }

    /**
     * An observer with these settings.
     *
     * @throws io.espalier.tensor.EspalierException if there are fewer than 2 bins
     */
    public EntropyObserver(ObserverSettings settings, int bins) {
        super(settings, bins);
    }

    /** The default settings, to change and to make observers of. */
    public static ObserverSettings with() {
        return ObserverSettings.of(EntropyObserver::new);
    }

    /** The default settings with so many bins. */
    public static ObserverSettings with(int bins) {
        return ObserverSettings.of(settings -> new EntropyObserver(settings, bins));
    }

    @Override
    Interval bestRange(Histogram seen) {
        double[] magnitudes = seen.magnitudes();
        boolean bothSides = seen.min() < 0 && seen.max() > 0;
        long levels = ((long) quantMax() - quantMin() + 1) / (bothSides ? 2 : 1);
        int kept = leastDivergence(magnitudes, Math.clamp(levels, 1, magnitudes.length));
        float largest = Math.max(Math.abs(seen.min()), Math.abs(seen.max()));
        float threshold = largest * kept / magnitudes.length;
        float low = Math.max(seen.min(), -threshold);
        float high = Math.min(seen.max(), threshold);
        return new Interval(low, high);
    }

    /** How many of the first bins to keep. */
    private static int leastDivergence(double[] counts, int levels) {
        int best = counts.length;
        double least = Double.POSITIVE_INFINITY;
        double beyond = 0;
        int stride = Math.max(1, counts.length / CANDIDATES);
        for (int kept = counts.length; kept >= levels; kept -= stride) {
            double divergence = divergence(counts, kept, beyond, levels);
            if (divergence < least) {
                least = divergence;
                best = kept;
            }
            for (int i = Math.max(0, kept - stride); i < kept; i++) {
                beyond += counts[i];
            }
        }
        return best;
    }

    /** KL(P ‖ Q): P is the kept bins, the last with all beyond it; Q the kept bins in levels. */
    private static double divergence(double[] counts, int kept, double beyond, int levels) {
        double inside = 0;
        for (int i = 0; i < kept; i++) {
            inside += counts[i];
        }
        double total = inside + beyond;
        if (inside == 0) {
            return Double.POSITIVE_INFINITY;
        }
        double divergence = 0;
        for (int level = 0; level < levels; level++) {
            int from = (int) ((long) level * kept / levels);
            int to = (int) ((long) (level + 1) * kept / levels);
            double sum = 0;
            int filled = 0;
            for (int i = from; i < to; i++) {
                sum += counts[i];
                filled += counts[i] > 0 ? 1 : 0;
            }
            for (int i = from; i < to; i++) {
                double p = (counts[i] + (i == kept - 1 ? beyond : 0)) / total;
                double q = counts[i] > 0 ? sum / filled / inside : 0;
                if (p > 0) {
                    divergence += p * Math.log(p / Math.max(q, SMALLEST));
                }
            }
        }
        return divergence;
    }
}
