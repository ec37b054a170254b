package io.espalier.data;

import java.util.Arrays;

/**
 * A dataset that makes its examples one by one; a batch stacks them.
 *
 * <pre>{@code
 * record Squares(int size) implements MapDataset {
 *     @Override public Sample get(int index) {
 *         return new Sample(Tensors.of(index), Tensors.of((float) index * index));
 *     }
 * }
 * }</pre>
 */
public interface MapDataset extends Dataset {
    /** The example of a number from 0 to size − 1; all have inputs and targets of one shape. */
    Sample get(int index);

    @Override
    default Batch batch(int[] indices) {
        return Batch.of(Arrays.stream(indices).mapToObj(this::get).toList());
    }
}
