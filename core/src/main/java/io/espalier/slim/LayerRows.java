package io.espalier.slim;

import io.espalier.nn.Convolution;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.PaddingMode;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.jspecify.annotations.Nullable;

/**
 * A layer as a product of matrices: what it is given and gives as rows, its weight as a matrix
 * [inputs, outputs].
 */
sealed interface LayerRows {
    /** Rows of a batch beyond these, and beyond so many for each input, are thinned out. */
    long MOST_ROWS = 1 << 10;

    long ROWS_FOR_AN_INPUT = 4;

    /** What it is given, [rows, inputs]. */
    Tensor inputs(Tensor x);

    /** What it gives, [rows, outputs]. */
    Tensor outputs(Tensor y);

    /** The layer; null if it is none that this is known of. */
    static @Nullable LayerRows of(Module layer) {
        if (!layer.isAtomic()) {
            return null;
        }
        return switch (layer) {
            case Linear linear -> new Product();
            case Convolution convolution
                    when !convolution.isTransposed()
                            && convolution.groups() == 1
                            && convolution.kernelSize().length <= 2
                            && !convolution.isPaddedUnevenly()
                            && convolution.paddingMode() == PaddingMode.ZEROS ->
                    new Windows(convolution);
            default -> null;
        };
    }

    /** A layer's weight of this shape as a matrix [inputs, outputs], doubles. */
    static Tensor matrix(Tensor weight) {
        return weight.detach().reshape(weight.size(0), -1).t().to(ScalarType.Double);
    }

    /** Some of many rows, the same for what is given and what is wanted. */
    static Tensor some(Tensor rows, long inputs) {
        return LayerSums.some(rows, 0, Math.max(MOST_ROWS, ROWS_FOR_AN_INPUT * inputs));
    }

    /** A linear layer. */
    record Product() implements LayerRows {
        @Override
        public Tensor inputs(Tensor x) {
            return x.reshape(-1, x.size(-1));
        }

        @Override
        public Tensor outputs(Tensor y) {
            return y.reshape(-1, y.size(-1));
        }
    }

    /** A convolution over lines or planes: each position a row. */
    record Windows(Convolution layer) implements LayerRows {
        @Override
        public Tensor inputs(Tensor x) {
            boolean line = layer.kernelSize().length == 1;
            Tensor columns =
                    torch.im2col(
                            line ? x.unsqueeze(2) : x,
                            plane(1, layer.kernelSize()),
                            plane(1, layer.dilation()),
                            plane(0, layer.padding()),
                            plane(1, layer.stride()));
            return columns.transpose(1, 2).reshape(-1, columns.size(1));
        }

        @Override
        public Tensor outputs(Tensor y) {
            return y.flatten(2, -1).transpose(1, 2).reshape(-1, y.size(1));
        }

        private static long[] plane(long first, long... numbers) {
            return numbers.length == 2 ? numbers : new long[] {first, numbers[0]};
        }
    }
}
