package io.espalier.data;

import io.espalier.tensor.EspalierException;

import java.util.Arrays;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Makes batches of a dataset, epoch by epoch.
 *
 * <pre>{@code
 * var loader = new DataLoader(dataset, 64).shuffled(1);
 * for (Batch batch : loader) {
 *     try (var step = new PointerScope()) { … }
 * }
 * }</pre>
 *
 * <p>Every {@code for} over the loader is one epoch, the next one each time. The order of an epoch
 * depends on the seed and its number alone, so {@code epoch(number, batch)} goes on exactly where
 * an earlier run stopped. A loader never changes: {@code shuffled}, {@code dropLast} and {@code
 * ahead} give another one.
 *
 * <p>A batch belongs to the loader, which frees it when the next one is asked for; {@link
 * io.espalier.tensor.Tensors#keep} lets a tensor of it live on.
 */
public final class DataLoader implements Iterable<Batch> {
    private final Dataset dataset;
    private final int batchSize;
    private final boolean shuffled;
    private final long seed;
    private final boolean dropLast;
    private final int ahead;
    private final AtomicInteger nextEpoch = new AtomicInteger();

    /**
     * A loader that goes through the dataset in order and gives the last, smaller batch too.
     *
     * @throws EspalierException if the batch size is below 1
     */
    public DataLoader(Dataset dataset, int batchSize) {
        this(dataset, batchSize, false, 0, false, 0);
        if (batchSize < 1) {
            throw new EspalierException(
                    "A batch has at least 1 example; asked for batches of " + batchSize + ".");
        }
    }

    private DataLoader(
            Dataset dataset,
            int batchSize,
            boolean shuffled,
            long seed,
            boolean dropLast,
            int ahead) {
        this.dataset = dataset;
        this.batchSize = batchSize;
        this.shuffled = shuffled;
        this.seed = seed;
        this.dropLast = dropLast;
        this.ahead = ahead;
    }

    /** A loader that shuffles each epoch differently, and alike for the same seed. */
    public DataLoader shuffled(long seed) {
        return new DataLoader(dataset, batchSize, true, seed, dropLast, ahead);
    }

    /** A loader that leaves out the last batch where it is smaller than the others. */
    public DataLoader dropLast() {
        return new DataLoader(dataset, batchSize, shuffled, seed, true, ahead);
    }

    /**
     * A loader that makes up to {@code batches} batches ahead on a thread of its own, which pays
     * where examples are read from files or are costly to make; 0 makes each when it is asked for.
     *
     * @throws EspalierException if {@code batches} is negative
     */
    public DataLoader ahead(int batches) {
        if (batches < 0) {
            throw new EspalierException(
                    "The number of batches to load ahead must be 0 or more; asked for "
                            + batches
                            + ".");
        }
        return new DataLoader(dataset, batchSize, shuffled, seed, dropLast, batches);
    }

    /** The dataset. */
    public Dataset dataset() {
        return dataset;
    }

    /** The number of examples in a batch. */
    public int batchSize() {
        return batchSize;
    }

    /** Whether the order differs from epoch to epoch. */
    public boolean isShuffled() {
        return shuffled;
    }

    /** The seed of the order; 0 where nothing is shuffled. */
    public long seed() {
        return seed;
    }

    /** Whether a smaller last batch is left out. */
    public boolean dropsLast() {
        return dropLast;
    }

    /** The number of batches in an epoch. */
    public int batches() {
        int whole = dataset.size() / batchSize;
        return dropLast || whole * batchSize == dataset.size() ? whole : whole + 1;
    }

    /** The batches of the next epoch. */
    @Override
    public Batches iterator() {
        return epoch(nextEpoch.getAndIncrement());
    }

    /** The batches of an epoch, counted from 0. */
    public Batches epoch(int epoch) {
        return epoch(epoch, 0);
    }

    /**
     * The batches of an epoch from one of them on: where an interrupted run continues.
     *
     * @param epoch counted from 0
     * @param first the first batch to make, from 0 to {@link #batches}
     * @throws EspalierException if {@code first} is out of range or {@code epoch} is negative
     */
    public Batches epoch(int epoch, int first) {
        if (epoch < 0 || first < 0 || first > batches()) {
            throw new EspalierException(
                    "No batch "
                            + first
                            + " of epoch "
                            + epoch
                            + "; an epoch has "
                            + batches()
                            + " batches, and both are counted from 0.");
        }
        int[] order = order(epoch);
        BatchSource source =
                number ->
                        dataset.batch(
                                Arrays.copyOfRange(
                                        order,
                                        number * batchSize,
                                        Math.min((number + 1) * batchSize, order.length)));
        return new Batches(OwnedBatches.of(source), first, batches(), ahead);
    }

    private int[] order(int epoch) {
        return shuffled
                ? Shuffle.permutation(dataset.size(), Shuffle.seed(seed, epoch))
                : java.util.stream.IntStream.range(0, dataset.size()).toArray();
    }
}
