package io.espalier.data;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;

import java.util.Arrays;

/**
 * Examples that lie in two tensors, along their first dimension. {@link Dataset#of} makes one
 * without naming the class, which libtorch's binding has a namesake of.
 */
public final class TensorDataset implements Dataset {
    private final Tensor inputs;
    private final Tensor targets;

    /**
     * A dataset over these tensors, which it keeps and does not copy.
     *
     * @param inputs [N, …]
     * @param targets [N, …]
     * @throws EspalierException if the first dimensions differ, or one has no dimension
     */
    public TensorDataset(Tensor inputs, Tensor targets) {
        if (inputs.dim() == 0 || targets.dim() == 0 || inputs.size(0) != targets.size(0)) {
            throw new EspalierException(
                    "Inputs and targets need the same first dimension; their shapes are "
                            + Arrays.toString(Tensors.shape(inputs))
                            + " and "
                            + Arrays.toString(Tensors.shape(targets))
                            + ".");
        }
        this.inputs = Tensors.keep(inputs);
        this.targets = Tensors.keep(targets);
    }

    @Override
    public int size() {
        return Math.toIntExact(inputs.size(0));
    }

    @Override
    public Batch batch(int[] indices) {
        Tensor rows = Rows.of(size(), indices);
        return new Batch(inputs.index_select(0, rows), targets.index_select(0, rows));
    }
}
