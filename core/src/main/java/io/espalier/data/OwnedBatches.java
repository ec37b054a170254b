package io.espalier.data;

import io.espalier.tensor.Needed;
import io.espalier.tensor.TensorException;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;

/**
 * Batches that belong to the loader alone, on whatever thread they are made: what making them left
 * behind is freed at once, no scope of the caller's can free them, and {@link Batch#free} does so
 * without touching the dataset's own tensors.
 */
final class OwnedBatches {
    private OwnedBatches() {}

    /** The same batches, each under handles of its own and made without gradients. */
    static BatchSource of(BatchSource source) {
        return number -> {
            try (var scope = new PointerScope();
                    var noGrad = new NoGradGuard()) {
                Batch batch = Needed.given(source.batch(number), "a batch of the dataset");
                return new Batch(own(batch.input()), own(batch.target()));
            } catch (RuntimeException e) {
                throw TensorException.in("Loading batch " + number, e);
            }
        };
    }

    private static Tensor own(Tensor tensor) {
        return new Tensor(tensor).retainReference();
    }
}
