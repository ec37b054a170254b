package io.espalier.prune;

import io.espalier.tensor.EspalierException;

/** A schedule that rises from one sparsity to another along a curve. */
record Ramp(Curve curve, double from, double to, int steps) implements Schedule {
    enum Curve {
        LINEAR,
        CUBIC,
        EXPONENTIAL
    }

    Ramp {
        // Written so that a NaN is refused too.
        if (!(0 <= from && from <= to && to <= 1)) {
            throw new EspalierException(
                    "A schedule rises from one sparsity to another in [0, 1]; asked for "
                            + from
                            + " to "
                            + to
                            + ".");
        }
        if (curve == Curve.EXPONENTIAL && to == 1) {
            throw new EspalierException(
                    "An exponential schedule leaves a share of the weights at each step and never"
                            + " reaches 1; ask for less.");
        }
        if (steps < 1) {
            throw new EspalierException("A schedule has at least 1 step; asked for " + steps + ".");
        }
    }

    @Override
    public double at(int step) {
        requireStep(step, steps);
        if (step >= steps) {
            return to;
        }
        double done = (double) step / steps;
        return switch (curve) {
            case LINEAR -> from + (to - from) * done;
            case CUBIC -> to + (from - to) * Math.pow(1 - done, 3);
            case EXPONENTIAL -> 1 - (1 - from) * Math.pow((1 - to) / (1 - from), done);
        };
    }

    private static void requireStep(int step, int steps) {
        if (step < 0) {
            throw new EspalierException(
                    "A schedule's steps run from 0 to " + steps + "; asked for " + step + ".");
        }
    }

    /** Another schedule, later. */
    record Delayed(Schedule schedule, int delay) implements Schedule {
        Delayed {
            if (delay < 0) {
                throw new EspalierException(
                        "A schedule can't begin before step 0; asked for a delay of "
                                + delay
                                + ".");
            }
        }

        @Override
        public int steps() {
            return Math.addExact(schedule.steps(), delay);
        }

        @Override
        public double at(int step) {
            requireStep(step, steps());
            return schedule.at(Math.max(0, step - delay));
        }
    }
}
