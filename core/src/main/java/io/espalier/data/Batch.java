package io.espalier.data;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;
import io.espalier.tensor.TensorException;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;

import java.util.List;

/**
 * Several examples at once. One that a {@link DataLoader} made lives until the loader is asked for
 * the next.
 *
 * @param input what the model is given, [N, …]
 * @param target what it should answer, [N, …]; class numbers are 64-bit integers [N]
 */
public record Batch(Tensor input, Tensor target) {
    /** Refuses nulls. */
    public Batch {
        Needed.of(input, "the input of a batch");
        Needed.of(target, "the target of a batch");
    }

    /**
     * Stacks examples of one shape along a new first dimension.
     *
     * @throws EspalierException if there are none, or their shapes or types differ
     */
    public static Batch of(List<Sample> examples) {
        if (Needed.all(examples, "the examples of a batch").isEmpty()) {
            throw new EspalierException("A batch needs at least one example.");
        }
        return new Batch(
                stack("inputs", examples.stream().map(Sample::input).toArray(Tensor[]::new)),
                stack("targets", examples.stream().map(Sample::target).toArray(Tensor[]::new)));
    }

    /**
     * What the model is given, [N, …].
     *
     * @throws EspalierException if the loader has gone on and freed it
     */
    @Override
    public Tensor input() {
        return live(input);
    }

    /**
     * What the model should answer, [N, …].
     *
     * @throws EspalierException if the loader has gone on and freed it
     */
    @Override
    public Tensor target() {
        return live(target);
    }

    /** The number of examples. */
    public int size() {
        return Math.toIntExact(input().size(0));
    }

    /** Frees both tensors, which nobody but a loader may do. */
    void free() {
        input.releaseReference();
        target.releaseReference();
    }

    private static Tensor live(Tensor tensor) {
        if (tensor.isNull()) {
            throw new EspalierException(
                    "This batch was freed when its loader went on to the next or its loop ended;"
                            + " Tensors.keep(batch.input()) inside the loop lets a tensor of it"
                            + " live on.");
        }
        return tensor;
    }

    private static Tensor stack(String what, Tensor... tensors) {
        try {
            return torch.stack(new TensorVector(tensors));
        } catch (RuntimeException e) {
            throw TensorException.in("Making a batch of " + tensors.length + " " + what, e);
        }
    }
}
