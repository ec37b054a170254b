package io.espalier.onnx.fit;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarTypeOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Solves for the weights of all outputs together by conjugate gradients, in the space that each
 * output's mask leaves (Hestenes and Stiefel, <a
 * href="https://doi.org/10.6028/jres.049.044">Methods of Conjugate Gradients for Solving Linear
 * Systems</a>, 1952), each divided by the diagonal first. What is added to the weights is found in
 * single precision, what is left to be found at the start in double.
 */
public final class LeastSquares {
    private static final double SMALL_ENOUGH = 1e-8;

    /** A channel that is always the same has a variance of nothing but rounding. */
    private static final double LEAST_VARIANCE = 1e-12;

    private final Tensor xx;
    private final Tensor yx;
    private final Tensor diagonal;
    private final Tensor products;

    /**
     * Prepares for weights of one layer; tensors are of the caller's scope.
     *
     * @param xx means of products of inputs, [groups, inputs, inputs]
     * @param yx means of products of wanted outputs and inputs, [groups, outputs, inputs]
     */
    public LeastSquares(Tensor xx, Tensor yx) {
        this.xx = xx;
        this.yx = yx;
        this.diagonal = xx.diagonal(0, 1, 2).unsqueeze(1);
        this.products = floats(xx);
    }

    /**
     * Weights of least squared error.
     *
     * @param start the weights now, [groups, outputs, inputs]
     * @param free 1 where a weight may change, 0 where it is 0
     * @param ridge how strongly weights are held to the start, as a share of the inputs' mean
     *     variance
     * @return in double precision, of the caller's scope
     */
    public Tensor solve(Tensor start, Tensor free, double ridge, int mostSteps) {
        Tensor lambda =
                sum(diagonal, 2)
                        .mul(new Scalar(ridge / xx.size(1)))
                        .clamp_min(new Scalar(LEAST_VARIANCE));
        Tensor held = floats(lambda);
        Tensor divisor = floats(diagonal.add(lambda));
        Tensor mask = floats(free);
        Tensor begin = start.mul(free);
        Tensor residual = floats(yx.sub(begin.matmul(xx)).mul_(free));
        Tensor move = residual.mul(new Scalar(0));
        Tensor direction = residual.div(divisor);
        Tensor size = sum(residual.mul(direction), 2);
        double enough = size.sum().item_double() * SMALL_ENOUGH;
        for (int step = 0; step < mostSteps; step++) {
            try (var scope = new PointerScope()) {
                Tensor image = direction.matmul(products).add_(direction.mul(held)).mul_(mask);
                Tensor length = ratio(size, sum(direction.mul(image), 2));
                move.addcmul_(direction, length);
                residual.sub_(image.mul_(length));
                Tensor scaled = residual.div(divisor);
                Tensor next = sum(residual.mul(scaled), 2);
                if (!(next.sum().item_double() > enough)) {
                    break;
                }
                direction.mul_(ratio(next, size)).add_(scaled);
                size.copy_(next);
            }
        }
        return begin.add(move);
    }

    private static Tensor floats(Tensor tensor) {
        return tensor.to(ScalarType.Float);
    }

    private static Tensor sum(Tensor tensor, long dim) {
        return tensor.sum(new long[] {dim}, true, new ScalarTypeOptional(ScalarType.Double));
    }

    /** 0 where there is nothing left to divide. */
    private static Tensor ratio(Tensor a, Tensor b) {
        return floats(
                a.div(b.clamp_min(new Scalar(Double.MIN_NORMAL)))
                        .mul(b.gt(new Scalar(Double.MIN_NORMAL)).to(ScalarType.Double)));
    }
}
