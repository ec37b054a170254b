package io.espalier.quant.layer;

import io.espalier.nn.Convolution;

import org.bytedeco.pytorch.DoubleOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

import java.util.stream.IntStream;

/**
 * The padding of a convolution's input that is done before the kernel sees it: kernels pad with
 * zeros only, and oneDNN's not rightly where a window lies in the padding alone.
 */
final class EarlyPadding {
    private final long[] padding;
    private final boolean reflects;
    private final boolean needed;

    /** That of a layer with a weight [·, ·, kernel…]. */
    EarlyPadding(Geometry geometry, Tensor weight) {
        this.padding = geometry.padding();
        this.reflects = geometry.reflects();
        long[] window = geometry.window(weight);
        boolean alone = IntStream.range(0, window.length).anyMatch(d -> padding[d] >= window[d]);
        this.needed = !geometry.transposed() && (reflects || alone);
    }

    /** Whether the input is to be padded before its kernel. */
    boolean isNeeded() {
        return needed;
    }

    /** Whether a convolution's input is to be padded before its kernel. */
    static boolean isNeeded(Convolution convolution) {
        return new EarlyPadding(Geometry.of(convolution), convolution.weight()).needed;
    }

    /** Whether integers can be padded as a convolution pads its input. */
    static boolean supports(Convolution convolution) {
        return switch (convolution.paddingMode()) {
            case ZEROS -> true;
            // libtorch mirrors integers along one or two dimensions.
            case REFLECT -> convolution.stride().length < 3;
            case REPLICATE, CIRCULAR -> false;
        };
    }

    /** The padding that is left to the kernel. */
    long[] rest() {
        return needed ? new long[padding.length] : padding;
    }

    /** Whether an input [C, …] or [N, C, …] is long enough to be mirrored so far. */
    boolean fits(Tensor x) {
        int first = Math.toIntExact(x.dim()) - padding.length;
        return !reflects
                || IntStream.range(0, padding.length).allMatch(d -> padding[d] < x.size(first + d));
    }

    /** A quantized input [N, C, …] with its padding around it. */
    Tensor around(Tensor x) {
        if (!needed) {
            return x;
        }
        int rank = padding.length;
        long[] sides = new long[2 * rank];
        for (int d = 0; d < rank; d++) {
            sides[2 * d] = padding[rank - 1 - d];
            sides[2 * d + 1] = padding[rank - 1 - d];
        }
        return torch.pad(
                x.contiguous(), sides, reflects ? "reflect" : "constant", new DoubleOptional());
    }
}
