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
 * Systems</a>, 1952), each divided by the diagonal first.
 */
public final class LeastSquares {
    private static final double SMALL_ENOUGH = 1e-10;

    /** A channel that is always the same has a variance of nothing but rounding. */
    private static final double LEAST_VARIANCE = 1e-12;

    private LeastSquares() {}

    /**
     * Weights of least squared error.
     *
     * @param xx means of products of inputs, [groups, inputs, inputs]
     * @param yx means of products of wanted outputs and inputs, [groups, outputs, inputs]
     * @param start the weights now, [groups, outputs, inputs]
     * @param free 1 where a weight may change, 0 where it is 0
     * @param ridge how strongly weights are held to the start, as a share of the inputs' mean
     *     variance
     * @return in double precision, of the caller's scope
     */
    public static Tensor solve(
            Tensor xx, Tensor yx, Tensor start, Tensor free, double ridge, int mostSteps) {
        Tensor variance = sum(xx.diagonal(0, 1, 2), 1);
        Tensor lambda =
                variance.mul(new Scalar(ridge / xx.size(1)))
                        .clamp_min(new Scalar(LEAST_VARIANCE))
                        .unsqueeze(2);
        Tensor diagonal = xx.diagonal(0, 1, 2).unsqueeze(1).add(lambda);
        Tensor result = start.mul(free);
        Tensor residual = yx.sub(result.matmul(xx)).mul_(free);
        Tensor direction = residual.div(diagonal);
        Tensor size = sum(residual.mul(direction), 2);
        double enough = size.sum().item_double() * SMALL_ENOUGH;
        for (int step = 0; step < mostSteps; step++) {
            try (var scope = new PointerScope()) {
                Tensor image = direction.matmul(xx).add_(direction.mul(lambda)).mul_(free);
                Tensor length = ratio(size, sum(direction.mul(image), 2));
                result.addcmul_(direction, length);
                residual.sub_(image.mul_(length));
                Tensor scaled = residual.div(diagonal);
                Tensor next = sum(residual.mul(scaled), 2);
                if (!(next.sum().item_double() > enough)) {
                    break;
                }
                direction.mul_(ratio(next, size)).add_(scaled);
                size.copy_(next);
            }
        }
        return result;
    }

    private static Tensor sum(Tensor tensor, long dim) {
        return tensor.sum(new long[] {dim}, true, new ScalarTypeOptional(ScalarType.Double));
    }

    /** 0 where there is nothing left to divide. */
    private static Tensor ratio(Tensor a, Tensor b) {
        return a.div(b.clamp_min(new Scalar(Double.MIN_NORMAL)))
                .mul(b.gt(new Scalar(Double.MIN_NORMAL)).to(ScalarType.Double));
    }
}
