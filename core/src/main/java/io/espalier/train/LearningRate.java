package io.espalier.train;

import io.espalier.tensor.EspalierException;

import java.util.Arrays;

/**
 * How the learning rate changes while training goes on: a factor on the rate that the optimizer was
 * made with, asked for before every step.
 */
@FunctionalInterface
public interface LearningRate {
    /** The factor for the coming step. */
    double factor(Position position);

    /**
     * Where training stands.
     *
     * @param step the coming step, counted from 0
     * @param steps how many steps training takes in all
     * @param stepsPerEpoch how many of them make an epoch
     */
    record Position(long step, long steps, long stepsPerEpoch) {
        /** The current epoch, counted from 0. */
        public long epoch() {
            return step / stepsPerEpoch;
        }

        /** How much of the training is done, from 0 to below 1. */
        public double share() {
            return (double) step / steps;
        }
    }

    /** Always the optimizer's own rate. */
    static LearningRate constant() {
        return position -> 1;
    }

    /**
     * Multiplied by {@code gamma} after every {@code epochs} epochs, as PyTorch's {@code StepLR}.
     *
     * @throws EspalierException if {@code epochs} is below 1 or {@code gamma} is negative
     */
    static LearningRate step(int epochs, double gamma) {
        Settings.requirePositive("The number of epochs between steps", epochs);
        Settings.requireNotNegative("Gamma", gamma);
        return position -> {
            long stepsTaken = position.epoch() / epochs;
            return Math.pow(gamma, stepsTaken);
        };
    }

    /**
     * Multiplied by {@code gamma} as each of these epochs begins, as PyTorch's {@code MultiStepLR}.
     *
     * @throws EspalierException if {@code gamma} is negative
     */
    static LearningRate milestones(double gamma, int... epochs) {
        Settings.requireNotNegative("Gamma", gamma);
        int[] milestones = epochs.clone();
        return position ->
                Math.pow(
                        gamma,
                        Arrays.stream(milestones).filter(m -> m <= position.epoch()).count());
    }

    /**
     * Multiplied by {@code gamma} after every epoch, as PyTorch's {@code ExponentialLR}.
     *
     * @throws EspalierException if {@code gamma} is negative
     */
    static LearningRate exponential(double gamma) {
        return step(1, gamma);
    }

    /**
     * Half a cosine from the optimizer's rate down to almost 0 at the last step, as PyTorch's
     * {@code CosineAnnealingLR} counted in steps (Loshchilov and Hutter, <a
     * href="https://arxiv.org/abs/1608.03983">SGDR</a>, 2017).
     */
    static LearningRate cosine() {
        return position -> (1 + Math.cos(Math.PI * position.share())) / 2;
    }

    /**
     * A straight line from factor {@code from} at the first step towards {@code to} after the last.
     *
     * @throws EspalierException if a factor is negative
     */
    static LearningRate linear(double from, double to) {
        Settings.requireNotNegative("The first factor", from);
        Settings.requireNotNegative("The last factor", to);
        return position -> from + (to - from) * position.share();
    }

    /**
     * This schedule after a rise in equal parts over {@code warmUpSteps} steps (Goyal et al., <a
     * href="https://arxiv.org/abs/1706.02677">Accurate, Large Minibatch SGD</a>, 2017); it begins
     * where the rise ends and takes the steps that remain.
     *
     * @throws EspalierException if {@code warmUpSteps} is negative
     */
    default LearningRate warmUp(long warmUpSteps) {
        Settings.requireNotNegative("The number of warm-up steps", warmUpSteps);
        return position ->
                position.step() < warmUpSteps
                        ? (position.step() + 1.0) / (warmUpSteps + 1)
                        : factor(
                                new Position(
                                        position.step() - warmUpSteps,
                                        Math.max(1, position.steps() - warmUpSteps),
                                        position.stepsPerEpoch()));
    }
}
