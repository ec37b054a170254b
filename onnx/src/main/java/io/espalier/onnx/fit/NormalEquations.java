package io.espalier.onnx.fit;

import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.jspecify.annotations.Nullable;

/**
 * The weights of a layer {@code y = xW + b} by least squares, from sums over all data: {@code XᵀX},
 * {@code XᵀY} and the means, in double precision. Nothing of the data is held.
 *
 * <p>Weights may be masked, so that each output has its own inputs, and are held to those at the
 * start by a ridge: what the data leaves open stays. All outputs are solved together by conjugate
 * gradients (Hestenes and Stiefel, <a href="https://doi.org/10.6028/jres.049.044">Methods of
 * Conjugate Gradients for Solving Linear Systems</a>, 1952), in the space that the mask leaves.
 */
public final class NormalEquations implements AutoCloseable {
    private static final int MOST_STEPS = 80;
    private static final double SMALL_ENOUGH = 1e-10;

    /** A channel that is always the same has a variance of nothing but rounding. */
    private static final double LEAST_VARIANCE = 1e-12;

    private @Nullable Tensor products;
    private @Nullable Tensor targets;
    private @Nullable Tensor inputSums;
    private @Nullable Tensor outputSums;
    private double count;

    /**
     * Weights and what has to be added to each output, [groups, outputs, inputs] and [groups,
     * outputs].
     */
    public record Solution(Tensor weight, Tensor bias) {}

    /**
     * Adds examples.
     *
     * @param x what the layer is given, floats [groups, examples, inputs]
     * @param y what it shall give, floats [groups, examples, outputs]
     */
    public void add(Tensor x, Tensor y) {
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            Tensor across = x.transpose(1, 2);
            products = plus(products, across.matmul(x));
            targets = plus(targets, across.matmul(y));
            inputSums = plus(inputSums, x.sum(new long[] {1}, false, optional()));
            outputSums = plus(outputSums, y.sum(new long[] {1}, false, optional()));
            count += x.size(1);
        }
    }

    private static org.bytedeco.pytorch.ScalarTypeOptional optional() {
        return new org.bytedeco.pytorch.ScalarTypeOptional(ScalarType.Double);
    }

    private static Tensor plus(@Nullable Tensor sum, Tensor more) {
        Tensor wide = more.to(ScalarType.Double);
        if (sum == null) {
            return Tensors.keep(wide.clone());
        }
        sum.add_(wide);
        return sum;
    }

    /**
     * The weights and biases of least squared error.
     *
     * @param start the weights now, [groups, outputs, inputs]
     * @param mask of the same shape, 0 where a weight stays 0; null where all may change
     * @param ridge how strongly weights are held to the start, as a share of the inputs' mean
     *     variance
     * @param hasBias whether the layer can add a number to each output
     * @return tensors of the caller's scope, floats
     */
    public Solution solve(Tensor start, @Nullable Tensor mask, double ridge, boolean hasBias) {
        Tensor xx = java.util.Objects.requireNonNull(products);
        Tensor xy = java.util.Objects.requireNonNull(targets);
        Tensor sumX = java.util.Objects.requireNonNull(inputSums);
        Tensor sumY = java.util.Objects.requireNonNull(outputSums);
        Tensor weight = start.to(ScalarType.Double);
        Tensor h = xx.div(new Scalar(count));
        Tensor c = xy.transpose(1, 2).div(new Scalar(count));
        Tensor meanX = sumX.div(new Scalar(count)).unsqueeze(1);
        Tensor meanY = sumY.div(new Scalar(count)).unsqueeze(1);
        if (hasBias) {
            h = h.sub(meanX.transpose(1, 2).matmul(meanX));
            c = c.sub(meanY.transpose(1, 2).matmul(meanX));
        }
        Tensor variance = h.diagonal(0, 1, 2).mean(new long[] {1}, true, optional());
        Tensor lambda = variance.mul(new Scalar(ridge)).clamp_min(new Scalar(LEAST_VARIANCE));
        Tensor free = mask == null ? torchOnes(weight) : mask.to(ScalarType.Double);
        Tensor first = weight.mul(free);
        Tensor moved = first.add(move(h, lambda, free, c.sub(first.matmul(h)).mul(free)));
        Tensor bias = meanY.squeeze(1).sub(moved.matmul(meanX.transpose(1, 2)).squeeze(2));
        return new Solution(moved.to(ScalarType.Float), bias.to(ScalarType.Float));
    }

    private static Tensor torchOnes(Tensor like) {
        return Tensors.ones(Tensors.shape(like)).to(ScalarType.Double);
    }

    /** What has to be added to the weights, given what is missing in the products. */
    private static Tensor move(Tensor h, Tensor lambda, Tensor free, Tensor missing) {
        Tensor ridge = lambda.unsqueeze(2);
        Tensor diagonal = h.diagonal(0, 1, 2).add(lambda).unsqueeze(1);
        Tensor result = missing.mul(new Scalar(0));
        Tensor residual = missing.clone();
        Tensor direction = residual.div(diagonal);
        Tensor size = dot(residual, direction);
        double enough = size.sum().item_double() * SMALL_ENOUGH;
        for (int step = 0; step < MOST_STEPS; step++) {
            try (var scope = new PointerScope()) {
                Tensor image = direction.matmul(h).add_(direction.mul(ridge)).mul_(free);
                Tensor length = ratio(size, dot(direction, image));
                result.addcmul_(direction, length);
                residual.sub_(image.mul_(length));
                Tensor scaled = residual.div(diagonal);
                Tensor next = dot(residual, scaled);
                if (!(next.sum().item_double() > enough)) {
                    break;
                }
                direction.mul_(ratio(next, size)).add_(scaled);
                size.copy_(next);
            }
        }
        return result;
    }

    private static Tensor dot(Tensor a, Tensor b) {
        return a.mul(b).sum(new long[] {2}, true, optional());
    }

    /** 0 where there is nothing left to divide. */
    private static Tensor ratio(Tensor a, Tensor b) {
        return a.div(b.clamp_min(new Scalar(Double.MIN_NORMAL)))
                .mul(b.gt(new Scalar(Double.MIN_NORMAL)).to(ScalarType.Double));
    }

    @Override
    public void close() {
        for (Tensor held : new Tensor[] {products, targets, inputSums, outputSums}) {
            if (held != null) {
                held.releaseReference();
            }
        }
    }
}
