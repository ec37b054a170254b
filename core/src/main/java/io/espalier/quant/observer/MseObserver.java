package io.espalier.quant.observer;

/**
 * Takes the range with the least mean squared error, measured with the very scale and zero point
 * that each range leads to: what is clamped against how coarse the steps get.
 *
 * <p>Source: Banner et al., <a href="https://arxiv.org/abs/1810.05723">Post-training 4-bit
 * quantization</a>, 2018, who derive the optimum for given distributions; here it is searched on
 * the histogram.
 */
public class MseObserver extends HistogramObserver {
    /** Steps of a search between nothing and the whole of one side. */
    private static final int STEPS = 100;

    /** Both sides are searched in turn; they settle after few rounds. */
    private static final int ROUNDS = 3;

    /** A uniform distribution over one step has the standard deviation step / √12. */
    private static final double ROOT_12 = Math.sqrt(12);

    /** An observer with these settings. */
    public MseObserver(ObserverSettings settings) {
        super(settings);
    }

    /**
     * An observer with these settings.
     *
     * @throws io.espalier.tensor.EspalierException if there are fewer than 2 bins
     */
    public MseObserver(ObserverSettings settings, int bins) {
        super(settings, bins);
    }

    /** The default settings, to change and to make observers of. */
    public static ObserverSettings with() {
        return ObserverSettings.of(MseObserver::new);
    }

    /** The default settings with so many bins. */
    public static ObserverSettings with(int bins) {
        return ObserverSettings.of(settings -> new MseObserver(settings, bins));
    }

    @Override
    Interval bestRange(Histogram seen) {
        Interval best = new Interval(seen.min(), seen.max());
        double least = error(seen, best);
        for (int step = 1; step <= STEPS; step++) {
            float share = (float) step / STEPS;
            Interval both = new Interval(seen.min() * share, seen.max() * share);
            double error = error(seen, both);
            if (error < least) {
                least = error;
                best = both;
            }
        }
        for (int round = 0; round < ROUNDS; round++) {
            for (int step = 1; step <= STEPS; step++) {
                float share = (float) step / STEPS;
                for (Interval one :
                        new Interval[] {
                            new Interval(seen.min() * share, best.max()),
                            new Interval(best.min(), seen.max() * share)
                        }) {
                    double error = error(seen, one);
                    if (error < least) {
                        least = error;
                        best = one;
                    }
                }
            }
        }
        return best;
    }

    /** The sum of squared errors when all that was seen is quantized to the range. */
    private double error(Histogram seen, Interval range) {
        QuantizationParameters to = Affine.parameters(settings(), range.min(), range.max());
        double scale = to.scale();
        double low = ((double) to.quantMin() - to.zeroPoint()) * scale;
        double high = ((double) to.quantMax() - to.zeroPoint()) * scale;
        double width = ((double) seen.max() - seen.min()) / seen.counts().length;
        double sum = 0;
        for (int b = 0; b < seen.counts().length; b++) {
            double value = seen.min() + (b + 0.5) * width;
            double distance;
            if (value < low || value > high) {
                distance = value - Math.clamp(value, low, high);
            } else if (width < scale) {
                distance = value - Math.rint(value / scale) * scale;
            } else {
                distance = scale / ROOT_12; // a wide bin's values lie anywhere between two steps
            }
            sum += seen.counts()[b] * distance * distance;
        }
        return sum;
    }
}
