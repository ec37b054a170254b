package io.espalier.data;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.nio.file.Path;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

/** What a model is called with, batch by batch: data without answers. */
public final class ModelInputs {
    private final long examples;
    private final int batchSize;
    private final Cut cut;

    /** Cuts the examples from one number to before another out of the data. */
    private interface Cut {
        List<Tensor> from(long first, long end);
    }

    private ModelInputs(long examples, int batchSize, Cut cut) {
        if (batchSize < 1) {
            throw new EspalierException("A batch has 1 or more examples, not " + batchSize + ".");
        }
        this.examples = examples;
        this.batchSize = batchSize;
        this.cut = cut;
    }

    /** The inputs of a dataset, for a model that takes one tensor. */
    public static ModelInputs of(Dataset dataset, int batchSize) {
        return new ModelInputs(
                dataset.size(),
                batchSize,
                (first, end) -> {
                    int[] numbers = IntStream.range((int) first, (int) end).toArray();
                    return List.of(dataset.batch(numbers).input());
                });
    }

    /**
     * The arrays of an {@code .npz} file, each [N, …], in the order of these names; where one
     * tensor is asked for and the file holds one, its name does not matter. Doubles become floats.
     *
     * @param file an {@code .npz} file
     * @param names what the model calls its inputs
     * @throws EspalierException if the file can't be read, lacks a name, or its arrays differ in N
     */
    public static ModelInputs of(Path file, List<String> names, int batchSize) {
        Map<String, Tensor> arrays = Npz.read(file);
        List<Tensor> inputs =
                (names.size() == 1 && arrays.size() == 1
                                ? arrays.values()
                                : named(file, arrays, names))
                        .stream().map(ModelInputs::single).toList();
        List<Long> counts = inputs.stream().map(ModelInputs::count).distinct().toList();
        if (counts.size() != 1 || counts.getFirst() < 1) {
            throw new EspalierException(
                    "The arrays of "
                            + file
                            + " need one number of examples, 1 or more, as their first dimension;"
                            + " they have "
                            + counts
                            + ".");
        }
        return new ModelInputs(
                counts.getFirst(),
                batchSize,
                (first, end) ->
                        inputs.stream().map(input -> input.narrow(0, first, end - first)).toList());
    }

    private static Collection<Tensor> named(
            Path file, Map<String, Tensor> arrays, List<String> names) {
        if (!arrays.keySet().containsAll(names)) {
            throw new EspalierException(
                    "The model takes "
                            + String.join(", ", names)
                            + "; "
                            + file
                            + " has "
                            + String.join(", ", arrays.keySet())
                            + ".");
        }
        return names.stream().map(arrays::get).toList();
    }

    private static Tensor single(Tensor array) {
        return Tensors.type(array) == ScalarType.Double ? array.to(ScalarType.Float) : array;
    }

    private static long count(Tensor input) {
        return input.dim() == 0 ? 0 : input.size(0);
    }

    /** How many examples there are. */
    public long examples() {
        return examples;
    }

    /** How many batches they make; the last may be smaller. */
    public int batches() {
        return Math.toIntExact((examples + batchSize - 1) / batchSize);
    }

    /**
     * One batch, a tensor for each of the model's inputs.
     *
     * @param number from 0 to {@link #batches} − 1
     */
    public List<Tensor> batch(int number) {
        long first = (long) number * batchSize;
        return cut.from(first, Math.min(examples, first + batchSize));
    }
}
