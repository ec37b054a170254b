package io.espalier.data;

import io.espalier.tensor.EspalierException;

import org.bytedeco.pytorch.Tensor;

import java.util.Arrays;
import java.util.stream.IntStream;

/**
 * Examples by number.
 *
 * <p>A dataset that makes its examples one by one is a {@link MapDataset}; one that holds them in
 * tensors is made by {@link #of}. {@code batch} may be called from another thread than the one that
 * made the dataset ({@link DataLoader#ahead}), never from two at once by one loader.
 */
public interface Dataset {
    /**
     * Examples that lie in two tensors, along their first dimension; it keeps the tensors and does
     * not copy them. As PyTorch's {@code TensorDataset}.
     *
     * @param inputs [N, …]
     * @param targets [N, …]
     * @throws EspalierException if the first dimensions differ, or one has no dimension
     */
    static Dataset of(Tensor inputs, Tensor targets) {
        return new TensorDataset(inputs, targets);
    }

    /** The number of examples. */
    int size();

    /**
     * The examples of these numbers, in this order, as one batch.
     *
     * @param indices numbers from 0 to size − 1; at least one
     */
    Batch batch(int[] indices);

    /** All of the examples as one batch, in order. */
    default Batch all() {
        return batch(IntStream.range(0, size()).toArray());
    }

    /**
     * The examples of these numbers, in this order, as a dataset.
     *
     * @throws EspalierException if a number is out of range
     */
    default Dataset subset(int... indices) {
        return Subset.of(this, indices.clone());
    }

    /**
     * The first {@code count} examples.
     *
     * @throws EspalierException if there are fewer, or {@code count} is negative
     */
    default Dataset take(int count) {
        if (count < 0 || count > size()) {
            throw new EspalierException(
                    "Can't take "
                            + count
                            + " of "
                            + size()
                            + " examples; take 0 to "
                            + size()
                            + ".");
        }
        return Subset.of(this, IntStream.range(0, count).toArray());
    }

    /**
     * Deals the examples out at random into two parts, the same for the same seed.
     *
     * @param share how much goes to {@link Split#train}, 0 to 1; rounded to whole examples
     * @throws EspalierException if the share is out of range
     */
    default Split split(double share, long seed) {
        if (!(share >= 0 && share <= 1)) {
            throw new EspalierException(
                    "A share must be between 0 and 1; asked for " + share + ".");
        }
        int[] order = Shuffle.permutation(size(), seed);
        int border = Math.toIntExact(Math.round(share * order.length));
        return new Split(
                Subset.of(this, Arrays.copyOf(order, border)),
                Subset.of(this, Arrays.copyOfRange(order, border, order.length)));
    }

    /** Two parts of a dataset that share no example. */
    record Split(Dataset train, Dataset validation) {}
}
