package io.espalier.data;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.TensorException;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;

import java.util.List;

/**
 * Several examples at once.
 *
 * @param input what the model is given, [N, …]
 * @param target what it should answer, [N, …]; class numbers are 64-bit integers [N]
 */
public record Batch(Tensor input, Tensor target) {
    /**
     * Stacks examples of one shape along a new first dimension.
     *
     * @throws EspalierException if there are none, or their shapes or types differ
     */
    public static Batch of(List<Example> examples) {
        if (examples.isEmpty()) {
            throw new EspalierException("A batch needs at least one example.");
        }
        return new Batch(
                stack("inputs", examples.stream().map(Example::input).toArray(Tensor[]::new)),
                stack("targets", examples.stream().map(Example::target).toArray(Tensor[]::new)));
    }

    /** The number of examples. */
    public int size() {
        return Math.toIntExact(input.size(0));
    }

    private static Tensor stack(String what, Tensor... tensors) {
        try {
            return torch.stack(new TensorVector(tensors));
        } catch (RuntimeException e) {
            throw TensorException.in("Making a batch of " + tensors.length + " " + what, e);
        }
    }
}
