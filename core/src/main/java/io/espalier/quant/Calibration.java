package io.espalier.quant;

import io.espalier.nn.Module;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;

/** Shows data to a model that is there to be looked at: by its observers, or by hooks. */
public final class Calibration {
    private Calibration() {}

    /**
     * Runs the model on each batch, without gradients, and frees what that makes.
     *
     * @param model most often a prepared one
     * @param batches its inputs
     * @return whether there was any batch
     */
    public static boolean run(Module model, Iterable<Tensor> batches) {
        boolean any = false;
        for (Tensor batch : batches) {
            any = true;
            try (var scope = new PointerScope();
                    var noGrad = new NoGradGuard()) {
                model.call(batch);
            }
        }
        return any;
    }
}
