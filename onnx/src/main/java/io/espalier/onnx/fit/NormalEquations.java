package io.espalier.onnx.fit;

import io.espalier.slim.LayerSums;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.jspecify.annotations.Nullable;

/**
 * The weights of a layer {@code y = xW + b} by least squares, from sums over all data; nothing of
 * the data is held.
 *
 * <p>Weights may be masked, so that each output has its own inputs, and are held to those at the
 * start by a ridge: what the data leaves open stays. How strong the ridge is, one half of the data
 * says, on which the weights found on the other half are tried.
 */
public final class NormalEquations implements AutoCloseable {
    /** Shares of the inputs' mean variance, from trusting the data to trusting the start. */
    private static final double[] RIDGES = {0.003, 0.03, 0.3, 3};

    /** Where there is but one half. */
    private static final double USUAL_RIDGE = 0.1;

    private static final int MOST_STEPS = 40;

    /** For telling ridges from each other less will do, and for wide layers one half. */
    private static final int TRIAL_STEPS = 12;

    private static final long TRIAL_OUTPUTS = 8;
    private static final long WIDE = 1024;

    private final LayerSums first = new LayerSums();
    private final LayerSums second = new LayerSums();
    private long examples;

    /**
     * What was found.
     *
     * @param weight [groups, outputs, inputs]
     * @param bias what has to be added to each output, [groups, outputs]
     * @param ridge how strongly the weights were held to the start
     */
    public record Solution(Tensor weight, Tensor bias, double ridge) {}

    /**
     * Adds examples.
     *
     * @param x what the layer is given, floats [groups, inputs, examples]
     * @param y what it shall give, floats [groups, outputs, examples]
     * @param half to which half they belong, 0 or 1
     */
    public void add(Tensor x, Tensor y, int half) {
        (half == 0 ? first : second).add(x, y);
    }

    /** Counts examples of which rows will be added; how many there were before. */
    long counted(long more) {
        examples += more;
        return examples - more;
    }

    /**
     * Means over all examples, about their own mean where a bias takes that.
     *
     * @param of products and values
     * @param chance how much of the products of different inputs is chance, from 0 to 1
     */
    public record Means(LayerSums.Moments of, double chance) {}

    /**
     * What was added, in double precision, of the caller's scope.
     *
     * @param centred whether products are about the means
     */
    public Means means(boolean centred) {
        try (var noGrad = new NoGradGuard()) {
            LayerSums.Both both = first.and(second);
            double chance = both.chance(centred);
            return new Means(both.moments(centred), chance);
        }
    }

    /**
     * The weights and biases of least squared error.
     *
     * @param start the weights now, [groups, outputs, inputs]
     * @param mask of the same shape, 0 where a weight stays 0; null where all may change
     * @param hasBias whether the layer can add a number to each output
     * @return tensors of the caller's scope, floats
     */
    public Solution solve(Tensor start, @Nullable Tensor mask, boolean hasBias) {
        try (var noGrad = new NoGradGuard()) {
            Tensor weight = start.to(ScalarType.Double);
            Tensor free =
                    mask == null
                            ? Tensors.ones(Tensors.shape(start)).to(ScalarType.Double)
                            : mask.to(ScalarType.Double);
            double ridge = ridge(weight, free, hasBias);
            LayerSums.Moments all = first.and(second).moments(hasBias);
            Tensor found =
                    new LeastSquares(all.xx(), all.yx()).solve(weight, free, ridge, MOST_STEPS);
            Tensor bias =
                    all.meanY()
                            .squeeze(1)
                            .sub(found.matmul(all.meanX().transpose(1, 2)).squeeze(2));
            return new Solution(found.to(ScalarType.Float), bias.to(ScalarType.Float), ridge);
        }
    }

    /** The ridge with which weights found on one half do best on the other. */
    private double ridge(Tensor weight, Tensor free, boolean hasBias) {
        if (first.isEmpty() || second.isEmpty()) {
            return USUAL_RIDGE;
        }
        try (var scope = new PointerScope()) {
            long step = Math.ceilDiv(weight.size(1), TRIAL_OUTPUTS);
            LayerSums.Moments known = first.moments(hasBias).someOutputs(step);
            LayerSums.Moments held = second.moments(hasBias).someOutputs(step);
            var onKnown = new LeastSquares(known.xx(), known.yx());
            @Nullable LeastSquares onHeld =
                    weight.size(2) > WIDE ? null : new LeastSquares(held.xx(), held.yx());
            Tensor start = LayerSums.every(weight, 1, step);
            Tensor mask = LayerSums.every(free, 1, step);
            double best = USUAL_RIDGE;
            double least = Double.POSITIVE_INFINITY;
            for (double ridge : RIDGES) {
                try (var inner = new PointerScope()) {
                    double error = held.error(onKnown.solve(start, mask, ridge, TRIAL_STEPS));
                    if (onHeld != null) {
                        error += known.error(onHeld.solve(start, mask, ridge, TRIAL_STEPS));
                    }
                    if (error < least) {
                        least = error;
                        best = ridge;
                    }
                }
            }
            return best;
        }
    }

    @Override
    public void close() {
        first.close();
        second.close();
    }
}
