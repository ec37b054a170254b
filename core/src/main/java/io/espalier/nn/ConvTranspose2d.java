package io.espalier.nn;

import io.espalier.tensor.EspalierException;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.function.UnaryOperator;

/**
 * A transposed convolution over two dimensions: [N, in, H, W] to [N, out, H', W'], or both without
 * N.
 */
public class ConvTranspose2d extends Convolution {
    /** A layer with PyTorch's defaults: stride 1, no padding, a bias. */
    public ConvTranspose2d(long in, long out, long kernel) {
        this(in, out, kernel, options -> options);
    }

    /**
     * A layer that differs from the defaults, such as {@code o -> o.stride(2).padding(1)}.
     *
     * @throws EspalierException if a number is out of range or the groups don't divide the channels
     */
    public ConvTranspose2d(long in, long out, long kernel, UnaryOperator<Options> with) {
        super(2, true, in, out, new long[] {kernel}, with);
    }

    /** A layer with a kernel of its own size along each dimension and PyTorch's defaults. */
    public ConvTranspose2d(long in, long out, long[] kernel) {
        this(in, out, kernel, options -> options);
    }

    /** A layer with a kernel of its own size along each dimension. */
    public ConvTranspose2d(long in, long out, long[] kernel, UnaryOperator<Options> with) {
        super(2, true, in, out, kernel, with);
    }

    private ConvTranspose2d(Tensor weight, @Nullable Tensor bias, UnaryOperator<Options> with) {
        super(2, true, weight, bias, with);
    }

    /**
     * A layer of these tensors, which it holds as they are: weight [in, out/groups, kernel…], bias
     * [out] or {@code null}.
     *
     * @throws EspalierException if a tensor has another shape or a number is out of range
     */
    public static ConvTranspose2d of(
            Tensor weight, @Nullable Tensor bias, UnaryOperator<Options> with) {
        return new ConvTranspose2d(weight, bias, with);
    }
}
