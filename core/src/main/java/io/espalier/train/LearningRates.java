package io.espalier.train;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Optimizer;
import org.bytedeco.pytorch.OptimizerParamGroupVector;

import java.util.Arrays;

/** The learning rates of an optimizer's parameter groups, moved together by one factor. */
final class LearningRates implements AutoCloseable {
    private final Optimizer optimizer;
    private final double[] base;
    private double factor = 1;

    LearningRates(Optimizer optimizer) {
        this.optimizer = optimizer;
        try (var scope = new PointerScope()) {
            OptimizerParamGroupVector groups = optimizer.param_groups();
            base = new double[Math.toIntExact(groups.size())];
            for (int i = 0; i < base.length; i++) {
                base[i] = groups.get(i).options().get_lr();
            }
        }
    }

    /** Sets the rate of each group. */
    static void set(Optimizer optimizer, double... rates) {
        try (var scope = new PointerScope()) {
            OptimizerParamGroupVector groups = optimizer.param_groups();
            for (int i = 0; i < rates.length; i++) {
                groups.get(i).options().set_lr(rates[i]);
            }
        }
    }

    void scale(double newFactor) {
        if (newFactor != factor) {
            factor = newFactor;
            set(optimizer, Arrays.stream(base).map(rate -> rate * factor).toArray());
        }
    }

    /** The rates that the optimizer was made with. */
    double[] base() {
        return base.clone();
    }

    /** The rate of the first group now. */
    double first() {
        return base[0] * factor;
    }

    /** Puts the rates back that the optimizer was made with. */
    @Override
    public void close() {
        scale(1);
    }
}
