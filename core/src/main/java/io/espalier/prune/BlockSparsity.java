package io.espalier.prune;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

import java.util.Arrays;

/**
 * Prunes whole blocks of a matrix, those of smallest norm (Gray et al., <a
 * href="https://openai.com/index/block-sparse-gpu-kernels/">GPU Kernels for Block-Sparse
 * Weights</a>, 2017). A tensor of more dimensions is seen as the matrix [first, all others].
 *
 * <p>Of equal norms the block with the lower index, row by row, goes first.
 *
 * @param amount how many of the blocks that still keep an entry
 * @param rows the height of a block; it divides the matrix's
 * @param columns the width of a block; it divides the matrix's
 * @param norm which norm a block's entries are measured by: 1 or 2
 */
public record BlockSparsity(Amount amount, int rows, int columns, int norm)
        implements PruningMethod.Patterned {
    /**
     * Checked numbers.
     *
     * @throws EspalierException if a block is empty, or the norm neither 1 nor 2
     */
    public BlockSparsity {
        Needed.of(amount, "the amount to prune");
        if (rows < 1 || columns < 1) {
            throw new EspalierException(
                    "A block has at least 1 row and 1 column; asked for "
                            + rows
                            + "x"
                            + columns
                            + ".");
        }
        if (norm != 1 && norm != 2) {
            throw new EspalierException(
                    "Blocks are measured by their L1 or L2 norm; asked for L" + norm + ".");
        }
    }

    /** Prunes a share, from 0 to 1, of the blocks that still keep an entry, by their L2 norm. */
    public BlockSparsity(double amount, int rows, int columns) {
        this(Amount.share(amount), rows, columns, 2);
    }

    /**
     * The mask.
     *
     * @throws EspalierException if the tensor has fewer than 2 dimensions, or blocks don't tile it
     */
    @Override
    public Tensor computeMask(Tensor scores, Tensor defaultMask) {
        requireTiles(Tensors.shape(scores));
        EntryScores.requireNumbers(scores);
        Tensor kept = blocks(defaultMask);
        Tensor entries = blocks(scores.mul(defaultMask));
        // In double, so that no square of a float underflows or overflows.
        Tensor norms =
                entries.to(torch.ScalarType.Double)
                        .norm(new ScalarOptional(new Scalar((double) norm)), 1L);
        Tensor open = kept.ne(new Scalar(0)).any(1, false);
        long count = amount.of(open.sum().item_long());
        Tensor order =
                norms.masked_fill(open.logical_not(), new Scalar(Double.POSITIVE_INFINITY))
                        .argsort(true, 0, false);
        Tensor mask = kept.clone().index_fill_(0, order.narrow(0, 0, count), new Scalar(0));
        return unblocked(mask, Tensors.shape(scores));
    }

    /** The blocks as rows: [blocks, rows · columns]. */
    private Tensor blocks(Tensor tensor) {
        long height = tensor.size(0) / rows;
        return tensor.reshape(height, rows, -1, columns)
                .permute(0, 2, 1, 3)
                .reshape(-1, (long) rows * columns);
    }

    private Tensor unblocked(Tensor blocks, long... shape) {
        long height = shape[0] / rows;
        return blocks.view(height, -1, rows, columns).permute(0, 2, 1, 3).reshape(shape);
    }

    private void requireTiles(long... shape) {
        if (shape.length < 2) {
            throw new EspalierException(
                    "Blocks are pruned in tensors of 2 or more dimensions; this one has shape "
                            + Arrays.toString(shape)
                            + ".");
        }
        long width = Arrays.stream(shape).skip(1).reduce(1, Math::multiplyExact);
        if (shape[0] % rows != 0 || width % columns != 0) {
            throw new EspalierException(
                    "Blocks of "
                            + rows
                            + "x"
                            + columns
                            + " don't tile shape "
                            + Arrays.toString(shape)
                            + ", which is a matrix of "
                            + shape[0]
                            + "x"
                            + width
                            + "; choose sizes that divide it.");
        }
    }
}
