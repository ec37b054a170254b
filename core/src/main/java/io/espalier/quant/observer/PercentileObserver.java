package io.espalier.quant.observer;

import io.espalier.tensor.EspalierException;

/**
 * Takes the range that holds a given share of the values, the rest half on each side: a few
 * outliers then don't cost every other value its precision.
 *
 * <p>Source: McKinstry et al., <a href="https://arxiv.org/abs/1809.04191">Discovering Low-Precision
 * Networks Close to Full-Precision Networks</a>, 2018.
 */
public class PercentileObserver extends HistogramObserver {
    /** The usual share: one value in ten thousand is clamped. */
    private static final double SHARE = 0.9999;

    private final double share;

    /** An observer with these settings that holds 99.99 % of the values. */
    public PercentileObserver(ObserverSettings settings) {
        this(settings, SHARE);
    }

    /**
     * An observer with these settings.
     *
     * @param share the share of values within the range, in (0, 1]
     * @throws EspalierException if it is not in (0, 1]
     */
    public PercentileObserver(ObserverSettings settings, double share) {
        super(settings);
        if (!(share > 0 && share <= 1)) {
            throw new EspalierException(
                    typeName()
                            + " needs a share above 0, up to 1; got "
                            + share
                            + ". For 99.99 percent give 0.9999.");
        }
        this.share = share;
    }

    /** The default settings, to change and to make observers of. */
    public static ObserverSettings with() {
        return with(SHARE);
    }

    /** The default settings, with the share of values within the range, such as 0.9999. */
    public static ObserverSettings with(double share) {
        return ObserverSettings.of(settings -> new PercentileObserver(settings, share));
    }

    /**
     * The same for a share without a fraction: 1, which is all values, and nothing else.
     *
     * @param share 1
     */
    public static ObserverSettings with(int share) {
        return with((double) share);
    }

    @Override
    Interval bestRange(Histogram seen) {
        double outside = (1 - share) / 2;
        return new Interval(seen.quantile(outside), seen.quantile(1 - outside));
    }
}
