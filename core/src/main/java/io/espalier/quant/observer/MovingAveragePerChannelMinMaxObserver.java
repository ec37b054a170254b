package io.espalier.quant.observer;

/**
 * Keeps an exponential moving average of the smallest and the largest value of each channel:
 * PyTorch's {@code MovingAveragePerChannelMinMaxObserver}. The first batch counts in full.
 */
public class MovingAveragePerChannelMinMaxObserver extends PerChannelMinMaxObserver {
    private final double averagingConstant;

    /** An observer with these settings, in which a new batch weighs 0.01. */
    public MovingAveragePerChannelMinMaxObserver(ObserverSettings settings) {
        this(settings, MovingAverageMinMaxObserver.AVERAGING_CONSTANT);
    }

    /**
     * An observer with these settings.
     *
     * @param averagingConstant what a new batch weighs, in (0, 1]
     */
    public MovingAveragePerChannelMinMaxObserver(
            ObserverSettings settings, double averagingConstant) {
        super(settings);
        this.averagingConstant = settings.requireShare(typeName(), averagingConstant);
    }

    /** The default settings: channels along dimension 0, an affine scheme for each. */
    public static ObserverSettings with() {
        return with(MovingAverageMinMaxObserver.AVERAGING_CONSTANT);
    }

    /** The default settings, with the weight of a new batch. */
    public static ObserverSettings with(double averagingConstant) {
        return ObserverSettings.of(settings ->
                        new MovingAveragePerChannelMinMaxObserver(settings, averagingConstant))
                .qscheme(Qscheme.PER_CHANNEL_AFFINE);
    }

    /** What a new batch weighs. */
    public final double averagingConstant() {
        return averagingConstant;
    }

    @Override
    void update(float[] min, float[] max) {
        if (!hasObserved()) {
            setRanges(min, max);
            return;
        }
        float weight = (float) averagingConstant;
        float[] mins = mins();
        float[] maxs = maxs();
        for (int c = 0; c < min.length; c++) {
            // A channel that held nothing but mask values has no extremes to average.
            if (min[c] > max[c]) {
                continue;
            }
            boolean first = mins[c] > maxs[c];
            float low = first ? min[c] : mins[c] + weight * (min[c] - mins[c]);
            float high = first ? max[c] : maxs[c] + weight * (max[c] - maxs[c]);
            // Far from zero, rounding may let the two pass each other.
            mins[c] = Math.min(low, high);
            maxs[c] = Math.max(low, high);
        }
        setRanges(mins, maxs);
    }
}
