package io.espalier.train;

import io.espalier.tensor.EspalierException;

import org.bytedeco.javacpp.DoublePointer;
import org.bytedeco.pytorch.AdamOptions;
import org.bytedeco.pytorch.AdamWOptions;

/**
 * Settings of Adam (Kingma and Ba, <a href="https://arxiv.org/abs/1412.6980">Adam</a>, 2015) and
 * AdamW, named and meant as PyTorch's.
 *
 * @param learningRate the step size, 0 or more
 * @param beta1 the decay of the mean gradient, 0 or more and below 1
 * @param beta2 the decay of the mean squared gradient, 0 or more and below 1
 * @param epsilon what is added to the denominator, 0 or more
 * @param weightDecay Adam: the L2 penalty; AdamW: the share of each weight taken per step and
 *     learning rate
 * @param amsgrad whether the denominator never falls (Reddi et al., 2018)
 */
public record AdamSettings(
        double learningRate,
        double beta1,
        double beta2,
        double epsilon,
        double weightDecay,
        boolean amsgrad) {
    /**
     * Checked settings.
     *
     * @throws EspalierException if a number is out of its range
     */
    public AdamSettings {
        Settings.requireNotNegative("The learning rate", learningRate);
        Settings.requireBelowOne("Beta 1", beta1);
        Settings.requireBelowOne("Beta 2", beta2);
        Settings.requireNotNegative("Epsilon", epsilon);
        Settings.requireNotNegative("Weight decay", weightDecay);
    }

    /** PyTorch's defaults: betas 0.9 and 0.999, epsilon 1e-8, no weight decay. */
    static AdamSettings of(double learningRate) {
        return new AdamSettings(learningRate, 0.9, 0.999, 1e-8, 0, false);
    }

    /** The same with other betas. */
    public AdamSettings betas(double beta1, double beta2) {
        return new AdamSettings(learningRate, beta1, beta2, epsilon, weightDecay, amsgrad);
    }

    /** The same with another epsilon. */
    public AdamSettings epsilon(double value) {
        return new AdamSettings(learningRate, beta1, beta2, value, weightDecay, amsgrad);
    }

    /** The same with another weight decay. */
    public AdamSettings weightDecay(double value) {
        return new AdamSettings(learningRate, beta1, beta2, epsilon, value, amsgrad);
    }

    /** The same with or without AMSGrad's denominator. */
    public AdamSettings amsgrad(boolean value) {
        return new AdamSettings(learningRate, beta1, beta2, epsilon, weightDecay, value);
    }

    AdamOptions adamOptions() {
        var options = new AdamOptions(learningRate);
        putBetas(options.betas());
        options.eps().put(epsilon);
        options.weight_decay().put(weightDecay);
        options.amsgrad().put(amsgrad);
        return options;
    }

    AdamWOptions adamWOptions() {
        var options = new AdamWOptions(learningRate);
        putBetas(options.betas());
        options.eps().put(epsilon);
        options.weight_decay().put(weightDecay);
        options.amsgrad().put(amsgrad);
        return options;
    }

    /**
     * Writes the betas over the defaults, whose order shows how the C++ library lays out a tuple:
     * libstdc++ puts the first member last.
     */
    private void putBetas(DoublePointer tuple) {
        boolean reversed = tuple.get(0) > tuple.get(1);
        tuple.put(reversed ? 1 : 0, beta1);
        tuple.put(reversed ? 0 : 1, beta2);
    }
}
