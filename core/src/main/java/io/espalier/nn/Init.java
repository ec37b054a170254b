package io.espalier.nn;

import org.bytedeco.pytorch.GeneratorOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/**
 * PyTorch's default initializations. They draw from libtorch's generator in PyTorch's order, so the
 * same seed gives the same network.
 */
final class Init {
    private Init() {}

    /** Uniform in [−bound, bound). */
    static Tensor uniform(double bound, long... shape) {
        return torch.empty(shape).uniform_(-bound, bound, new GeneratorOptional());
    }

    /**
     * {@code kaiming_uniform_(a=√5)}: nearly U(−1/√fanIn, 1/√fanIn), with the rounding of PyTorch's
     * own steps.
     */
    static Tensor kaimingUniform(long fanIn, long... shape) {
        double slope = Math.sqrt(5);
        double gain = Math.sqrt(2 / (1 + slope * slope));
        return uniform(Math.sqrt(3) * (gain / Math.sqrt(fanIn)), shape);
    }

    /** The bias that goes with it. */
    static Tensor bias(long fanIn, long size) {
        return uniform(fanIn > 0 ? 1 / Math.sqrt(fanIn) : 0, size);
    }

    /** {@code xavier_uniform_}: U(−b, b), b = √(6 / (fanIn + fanOut)) by PyTorch's own steps. */
    static Tensor xavierUniform(long fanIn, long fanOut, long... shape) {
        double deviation = Math.sqrt(2.0 / (fanIn + fanOut));
        return uniform(Math.sqrt(3) * deviation, shape);
    }
}
