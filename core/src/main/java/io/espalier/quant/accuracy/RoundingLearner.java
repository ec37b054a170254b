package io.espalier.quant.accuracy;

import io.espalier.nn.Functional;
import io.espalier.quant.observer.QuantizationParameters;
import io.espalier.tensor.Tensors;
import io.espalier.train.Optimizers;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Optimizer;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.util.Arrays;
import java.util.List;
import java.util.Random;

/**
 * Learns the rounding of one layer's weight: {@code scale · clamp(⌊w / scale⌋ + h, …)}, where
 * {@code h} moves between 0 and 1 at first, and is driven to one of them in the end.
 */
final class RoundingLearner {
    /** The rectified sigmoid's ends, from Louizos et al., 2018: it reaches 0 and 1 itself. */
    private static final double ZETA = 1.1;

    private static final double GAMMA = -0.1;

    /** The exponent that the regularizer falls to from, and to; the authors' own program's. */
    private static final double FIRST_BETA = 20;

    private static final double LAST_BETA = 2;

    /** The share of the iterations without regularizer; the authors' own program's. */
    private static final double WARM_UP = 0.2;

    /** Found by trial on 1000 iterations: the authors take ten times as many, at a lower rate. */
    private static final double LEARNING_RATE = 0.02;

    /** Samples for a step; more were not better. */
    private static final int BATCH = 256;

    /** A fraction that is uniform over one step has a variance of 1 / 12. */
    private static final int STEPS_TO_VARIANCE = 12;

    private final WeightedLayer layer;
    private final LayerSamples samples;
    private final AdaRound.Options options;
    private final Tensor weight;
    private final Tensor scale;
    private final Tensor lowest;
    private final Tensor highest;
    private final Tensor floor;

    RoundingLearner(
            WeightedLayer layer,
            QuantizationParameters grid,
            LayerSamples samples,
            AdaRound.Options options) {
        this.layer = layer;
        this.samples = samples;
        this.options = options;
        this.weight = layer.weight();
        this.scale = alongChannels(grid, grid.scaleTensor());
        Tensor zeroPoint = alongChannels(grid, grid.zeroPointTensor());
        this.lowest = zeroPoint.neg().add(new Scalar(grid.quantMin()));
        this.highest = zeroPoint.neg().add(new Scalar(grid.quantMax()));
        this.floor = weight.div(scale).floor();
    }

    private Tensor alongChannels(QuantizationParameters grid, Tensor values) {
        long[] shape = new long[Math.toIntExact(weight.dim())];
        Arrays.fill(shape, 1);
        if (grid.isPerChannel()) {
            shape[grid.channelAxis()] = -1;
        }
        return values.reshape(shape);
    }

    /** The weight with each element rounded to the nearest integer. */
    Tensor nearest() {
        return onGrid(weight.div(scale).round().sub(floor));
    }

    /** The weight on the grid, a share {@code h} of a step above the integer below. */
    private Tensor onGrid(Tensor h) {
        return floor.add(h).maximum(lowest).minimum(highest).mul(scale);
    }

    /** The noise of the layer's output by its signal, over all samples, with other weights. */
    double error(Tensor weight) {
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            double signal = activated(samples.targets()).pow(new Scalar(2)).sum().item_double();
            return noise(weight).item_double() / Math.max(signal, Double.MIN_NORMAL);
        }
    }

    private Tensor noise(Tensor weight) {
        return noise(samples.inputs(), samples.targets(), weight);
    }

    /** The sum of squared distances of the outputs from the float layer's. */
    private Tensor noise(Tensor inputs, Tensor targets, Tensor weight) {
        return activated(outputs(inputs, weight)).sub(activated(targets)).pow(new Scalar(2)).sum();
    }

    private Tensor outputs(Tensor inputs, Tensor weight) {
        Tensor matrices = weight.reshape(layer.groups(), -1, inputs.size(2));
        return inputs.bmm(matrices.transpose(1, 2));
    }

    private Tensor activated(Tensor outputs) {
        Tensor biased = outputs;
        if (layer.layer().hasParameter("bias")) {
            Tensor bias = layer.layer().value("bias").detach();
            biased = outputs.add(bias.reshape(layer.groups(), 1, -1));
        }
        return layer.hasReLU() ? Functional.relu(biased) : biased;
    }

    /** The weight with the rounding that was learned. */
    Tensor learn() {
        double unit = unit();
        Tensor movable = weight.ne(new Scalar(0));
        Tensor v = start().set_requires_grad(true);
        Optimizer adam = Optimizers.adam(List.of(v), LEARNING_RATE);
        var random = new Random(options.seed());
        int warm = (int) (options.iterations() * WARM_UP);
        for (int i = 0; i < options.iterations(); i++) {
            try (var scope = new PointerScope()) {
                adam.zero_grad();
                Tensor h = rectified(v);
                Tensor loss = batchError(onGrid(h.mul(movable)), random).div(new Scalar(unit));
                if (i >= warm) {
                    double done = (double) (i - warm) / (options.iterations() - warm);
                    loss = loss.add(undecided(h, beta(done)));
                }
                loss.backward();
                adam.step();
            }
        }
        try (var noGrad = new NoGradGuard()) {
            Tensor up = rectified(v).ge(new Scalar(0.5)).logical_and(movable);
            return onGrid(up.to(ScalarType.Float));
        }
    }

    /**
     * What the error is divided by: about what one weight adds to it when it is rounded to nearest.
     * So the learning does not depend on the unit of the data, and the regularizer counts by
     * itself; the paper weighs it by 0.01 against an error as it comes.
     */
    private double unit() {
        double nearest = noise(nearest()).item_double() / samples.count();
        return Math.max(nearest * STEPS_TO_VARIANCE / weight.numel(), Double.MIN_NORMAL);
    }

    /** What the rectified sigmoid makes the fractions of the weights of: nothing is moved yet. */
    private Tensor start() {
        Tensor fraction = weight.div(scale).sub(floor);
        return fraction.sub(new Scalar(GAMMA)).div(new Scalar(ZETA - GAMMA)).logit().detach();
    }

    private static double beta(double done) {
        return LAST_BETA + (FIRST_BETA - LAST_BETA) * (1 + Math.cos(done * Math.PI)) / 2;
    }

    /** The mean over some samples of the squared distance of the outputs. */
    private Tensor batchError(Tensor rounded, Random random) {
        long[] drawn = random.longs(BATCH, 0, samples.count()).toArray();
        Tensor rows = Tensors.of(drawn, drawn.length);
        return noise(
                        samples.inputs().index_select(1, rows),
                        samples.targets().index_select(1, rows),
                        rounded)
                .div(new Scalar(drawn.length));
    }

    /** The paper's h(v): a sigmoid, stretched, and cut to 0…1. */
    private static Tensor rectified(Tensor v) {
        return v.sigmoid()
                .mul(new Scalar(ZETA - GAMMA))
                .add(new Scalar(GAMMA))
                .clamp_min(new Scalar(0))
                .clamp_max(new Scalar(1));
    }

    /** {@code Σ 1 − |2h − 1|^β}: 0 when each is decided. */
    private static Tensor undecided(Tensor h, double beta) {
        Tensor decided = h.mul(new Scalar(2)).sub(new Scalar(1)).abs().pow(new Scalar(beta)).sum();
        return decided.neg().add(new Scalar(h.numel()));
    }
}
