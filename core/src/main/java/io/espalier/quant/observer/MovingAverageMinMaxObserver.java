package io.espalier.quant.observer;

/**
 * Keeps an exponential moving average of the smallest and the largest value of each batch:
 * PyTorch's {@code MovingAverageMinMaxObserver}. The first batch counts in full.
 *
 * <p>Two averages that are merged give the range that contains both: an average of averages would
 * depend on an order of the batches that nobody knows.
 */
public class MovingAverageMinMaxObserver extends MinMaxObserver {
    /** PyTorch's weight of a new batch. */
    static final double AVERAGING_CONSTANT = 0.01;

    private final double averagingConstant;

    /** An observer with these settings, in which a new batch weighs 0.01. */
    public MovingAverageMinMaxObserver(ObserverSettings settings) {
        this(settings, AVERAGING_CONSTANT);
    }

    /**
     * An observer with these settings.
     *
     * @param averagingConstant what a new batch weighs, in (0, 1]
     */
    public MovingAverageMinMaxObserver(ObserverSettings settings, double averagingConstant) {
        super(settings);
        this.averagingConstant = settings.requireShare(typeName(), averagingConstant);
    }

    /** The default settings, to change and to make observers of. */
    public static ObserverSettings with() {
        return with(AVERAGING_CONSTANT);
    }

    /** The default settings, with the weight of a new batch. */
    public static ObserverSettings with(double averagingConstant) {
        return ObserverSettings.of(
                settings -> new MovingAverageMinMaxObserver(settings, averagingConstant));
    }

    /** What a new batch weighs. */
    public final double averagingConstant() {
        return averagingConstant;
    }

    @Override
    void update(float min, float max) {
        if (hasObserved()) {
            float weight = (float) averagingConstant;
            float low = min() + weight * (min - min());
            float high = max() + weight * (max - max());
            // Far from zero, rounding may let the two pass each other.
            setRange(Math.min(low, high), Math.max(low, high));
        } else {
            setRange(min, max);
        }
    }
}
