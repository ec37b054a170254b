package io.espalier.train;

import io.espalier.tensor.EspalierException;

import org.bytedeco.pytorch.SGDOptions;

/**
 * Settings of stochastic gradient descent, named and meant as PyTorch's {@code SGD}.
 *
 * @param learningRate the step size, 0 or more
 * @param momentum how much of the last step goes on, from 0
 * @param dampening how much of the gradient momentum leaves out
 * @param weightDecay the L2 penalty, from 0
 * @param nesterov whether to look ahead along the momentum
 */
public record SgdSettings(
        double learningRate,
        double momentum,
        double dampening,
        double weightDecay,
        boolean nesterov) {
    /**
     * Checked numbers.
     *
     * @throws EspalierException if a number is negative
     */
    public SgdSettings {
        Settings.requireNotNegative("The learning rate", learningRate);
        Settings.requireNotNegative("Momentum", momentum);
        Settings.requireNotNegative("Weight decay", weightDecay);
    }

    /** Plain descent without momentum. */
    static SgdSettings of(double learningRate) {
        return new SgdSettings(learningRate, 0, 0, 0, false);
    }

    /** The same with another momentum. */
    public SgdSettings momentum(double value) {
        return new SgdSettings(learningRate, value, dampening, weightDecay, nesterov);
    }

    /** The same with another dampening. */
    public SgdSettings dampening(double value) {
        return new SgdSettings(learningRate, momentum, value, weightDecay, nesterov);
    }

    /** The same with another weight decay. */
    public SgdSettings weightDecay(double value) {
        return new SgdSettings(learningRate, momentum, dampening, value, nesterov);
    }

    /** The same with or without Nesterov's momentum, which needs a momentum and no dampening. */
    public SgdSettings nesterov(boolean value) {
        return new SgdSettings(learningRate, momentum, dampening, weightDecay, value);
    }

    /**
     * The settings as libtorch takes them.
     *
     * @throws EspalierException if nesterov has no momentum or a dampening
     */
    SGDOptions options() {
        if (nesterov && (momentum == 0 || dampening != 0)) {
            throw new EspalierException(
                    "Nesterov needs a momentum above 0 and no dampening; momentum is "
                            + momentum
                            + ", dampening "
                            + dampening
                            + ".");
        }
        var options = new SGDOptions(learningRate);
        options.momentum().put(momentum);
        options.dampening().put(dampening);
        options.weight_decay().put(weightDecay);
        options.nesterov().put(nesterov);
        return options;
    }
}
