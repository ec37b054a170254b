package io.espalier.prune;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;

import java.util.Arrays;

/**
 * Keeps at most {@code n} of every {@code m} neighbours along a dimension, those of largest
 * magnitude; 2 of 4 along a linear layer's inputs is what sparse tensor cores run at twice the
 * speed (Mishra et al., <a href="https://arxiv.org/abs/2104.08378">Accelerating Sparse Deep Neural
 * Networks</a>, 2021).
 *
 * <p>Of equal magnitudes the one with the lower index goes first. Where earlier pruning has taken
 * more of a group already, the group stays as it is.
 *
 * @param n how many stay, 0 to m
 * @param m the size of a group, at least 1; it divides the dimension's size
 * @param dim the dimension along which the groups lie; negative counts from the last
 */
public record NmSparsity(int n, int m, int dim) implements PruningMethod.Patterned {
    /**
     * Checked numbers.
     *
     * @throws EspalierException unless 0 ≤ n ≤ m and m ≥ 1
     */
    public NmSparsity {
        if (m < 1 || n < 0 || n > m) {
            throw new EspalierException(
                    "N:M sparsity keeps 0 to M of every M ≥ 1; asked for " + n + ":" + m + ".");
        }
    }

    /**
     * Groups along dimension 1: the inputs of a linear layer, the input channels of a convolution.
     */
    public NmSparsity(int n, int m) {
        this(n, m, 1);
    }

    /**
     * The mask.
     *
     * @throws EspalierException if there is no such dimension, or its size is no multiple of m
     */
    @Override
    public Tensor computeMask(Tensor scores, Tensor defaultMask) {
        requireGroups(Tensors.shape(scores));
        EntryScores.requireNumbers(scores);
        Tensor rank = groups(scores.abs());
        Tensor kept = groups(defaultMask);
        // What is pruned ranks below every magnitude.
        rank = rank.masked_fill(kept.eq(new Scalar(0)), new Scalar(-1));
        Tensor lowest = rank.argsort(true, 1, false).narrow(1, 0, m - n);
        Tensor mask = kept.clone().scatter_(1, lowest, new Scalar(0));
        long[] moved = Tensors.shape(scores.transpose(dim, -1));
        return mask.view(moved).transpose(dim, -1).contiguous();
    }

    /** The groups as the rows of a matrix [groups, m]. */
    private Tensor groups(Tensor tensor) {
        return tensor.transpose(dim, -1).reshape(-1, m);
    }

    private void requireGroups(long... shape) {
        if (dim < -shape.length || dim >= shape.length) {
            throw new EspalierException(
                    "Dimension "
                            + dim
                            + " is not one of the "
                            + shape.length
                            + " of shape "
                            + Arrays.toString(shape)
                            + "; give one from "
                            + -shape.length
                            + " to "
                            + (shape.length - 1)
                            + ".");
        }
        long size = shape[Math.floorMod(dim, shape.length)];
        if (size % m != 0) {
            throw new EspalierException(
                    n
                            + ":"
                            + m
                            + " needs groups of "
                            + m
                            + ", but dimension "
                            + dim
                            + " of shape "
                            + Arrays.toString(shape)
                            + " has "
                            + size
                            + " entries; choose an M that divides it, or another dimension.");
        }
    }
}
