package io.espalier.quant;

import io.espalier.nn.Module;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;

/** Shows a prepared model its calibration data. */
final class Calibration {
    private Calibration() {}

    /**
     * Runs the model on each batch and frees what that makes.
     *
     * @return whether there was any batch
     */
    static boolean run(Module prepared, Iterable<Tensor> batches) {
        boolean any = false;
        for (Tensor batch : batches) {
            any = true;
            try (var scope = new PointerScope();
                    var noGrad = new NoGradGuard()) {
                prepared.call(batch);
            }
        }
        return any;
    }
}
