package io.espalier.prune;

/**
 * Sparsity as a function of the step: what share of the weights is zero after each round of
 * pruning, or after each training step.
 *
 * <p>Step 0 is before the first pruning, step {@link #steps} the last; beyond it the sparsity
 * stays. One of your own is a class with these two methods.
 */
public interface Schedule {
    /** The number of steps until the target is reached, at least 1. */
    int steps();

    /**
     * The sparsity at a step, in [0, 1]; it never falls from one step to the next.
     *
     * @param step 0 or more
     */
    double at(int step);

    /** The sparsity at the last step. */
    default double target() {
        return at(steps());
    }

    /** Everything at step 1. */
    static Schedule oneShot(double target) {
        return new Ramp(Ramp.Curve.LINEAR, 0, target, 1);
    }

    /** The same share of all weights at each step. */
    static Schedule linear(double from, double to, int steps) {
        return new Ramp(Ramp.Curve.LINEAR, from, to, steps);
    }

    /**
     * Fast while there is much to take, slow near the end: {@code to + (from − to)(1 −
     * step/steps)³} (automated gradual pruning, <a href="https://arxiv.org/abs/1710.01878">Zhu and
     * Gupta 2017</a>).
     */
    static Schedule cubic(double from, double to, int steps) {
        return new Ramp(Ramp.Curve.CUBIC, from, to, steps);
    }

    /**
     * The same share of what is left at each step, as in the search for lottery tickets: {@code 1 −
     * (1 − from)((1 − to)/(1 − from))^(step/steps)}; {@code to} is below 1.
     */
    static Schedule exponential(double from, double to, int steps) {
        return new Ramp(Ramp.Curve.EXPONENTIAL, from, to, steps);
    }

    /** This schedule begun {@code delay} steps later; until then its first sparsity holds. */
    default Schedule after(int delay) {
        return new Ramp.Delayed(this, delay);
    }
}
