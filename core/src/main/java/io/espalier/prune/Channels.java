package io.espalier.prune;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarTypeOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

import java.util.Arrays;
import java.util.stream.LongStream;

/** A tensor seen as the slices along one of its dimensions. */
final class Channels {
    private Channels() {}

    /**
     * The dimension counted from the first.
     *
     * @throws EspalierException if the tensor has fewer than two dimensions, or not this one
     */
    static int dimension(Tensor tensor, int dim) {
        int dims = Math.toIntExact(tensor.dim());
        if (dims < 2) {
            throw new EspalierException(
                    "Channels can be pruned in 2 or more dimensions, not in "
                            + dims
                            + "; use an unstructured method.");
        }
        if (dim < -dims || dim >= dims) {
            throw new EspalierException(
                    "There is no dimension "
                            + dim
                            + " among "
                            + dims
                            + "; give one from "
                            + -dims
                            + " to "
                            + (dims - 1)
                            + ".");
        }
        return Math.floorMod(dim, dims);
    }

    /** The Lₙ norm of each channel, [channels]. */
    static Tensor norms(Tensor scores, double n, int dim) {
        Tensor norms =
                torch.linalg_vector_norm(
                        scores.detach(),
                        new Scalar(n),
                        others(scores, dim),
                        false,
                        new ScalarTypeOptional());
        if (norms.isnan().any().item_bool()) {
            EntryScores.requireNumbers(scores);
        }
        return norms;
    }

    /** All dimensions but this one. */
    static long[] others(Tensor tensor, int dim) {
        return LongStream.range(0, tensor.dim()).filter(d -> d != dim).toArray();
    }

    /** The indices of the channels that a mask keeps something of. */
    static Tensor kept(Tensor mask, int dim) {
        return mask.sum(others(mask, dim)).ne(new Scalar(0)).nonzero().reshape(-1);
    }

    /** The mask, less the channels whose entry in {@code keptChannels} is 0. */
    static Tensor prune(Tensor mask, int dim, Tensor keptChannels) {
        return mask.mul(along(mask, dim, keptChannels));
    }

    /** A mask like a tensor that keeps the channels whose entry in {@code keptChannels} is 1. */
    static Tensor mask(Tensor like, int dim, Tensor keptChannels) {
        return along(like, dim, keptChannels).expand(Tensors.shape(like)).contiguous();
    }

    private static Tensor along(Tensor like, int dim, Tensor keptChannels) {
        long[] shape = new long[Math.toIntExact(like.dim())];
        Arrays.fill(shape, 1);
        shape[dim] = keptChannels.numel();
        return keptChannels.to(like.scalar_type()).view(shape);
    }
}
