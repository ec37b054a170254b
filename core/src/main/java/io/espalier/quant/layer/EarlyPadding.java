package io.espalier.quant.layer;

import io.espalier.nn.Convolution;

import org.bytedeco.pytorch.DoubleOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

import java.util.stream.IntStream;

/**
 * The padding of a convolution's input that is done before the kernel sees it: kernels pad with
 * zeros only, the same on both sides, and oneDNN's not rightly where a window lies in the padding
 * alone.
 */
final class EarlyPadding {
    private final long[] before;
    private final long[] after;
    private final boolean reflects;
    private final boolean needed;

    /** That of a layer with a weight [·, ·, kernel…]. */
    EarlyPadding(Geometry geometry, Tensor weight) {
        this.before = geometry.padding();
        this.after = geometry.paddingAfter();
        this.reflects = geometry.reflects();
        long[] window = geometry.window(weight);
        boolean alone =
                IntStream.range(0, window.length)
                        .anyMatch(d -> Math.max(before[d], after[d]) >= window[d]);
        this.needed = !geometry.transposed() && (reflects || alone || geometry.isUneven());
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
        return needed ? new long[before.length] : before;
    }

    /** Whether an input [C, …] or [N, C, …] is long enough to be mirrored so far. */
    boolean fits(Tensor x) {
        int first = Math.toIntExact(x.dim()) - before.length;
        return !reflects
                || IntStream.range(0, before.length)
                        .allMatch(d -> Math.max(before[d], after[d]) < x.size(first + d));
    }

    /** A quantized input [N, C, …] with its padding around it. */
    Tensor around(Tensor x) {
        if (!needed) {
            return x;
        }
        int rank = before.length;
        long[] sides = new long[2 * rank];
        for (int d = 0; d < rank; d++) {
            sides[2 * d] = before[rank - 1 - d];
            sides[2 * d + 1] = after[rank - 1 - d];
        }
        return torch.pad(
                x.contiguous(), sides, reflects ? "reflect" : "constant", new DoubleOptional());
    }
}
