package io.espalier;

import io.espalier.nn.Module;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;

/** Models whose batch normalizations have statistics that are not those they began with. */
public final class TrainedModels {
    private TrainedModels() {}

    /** Shows a model some inputs, shifted and widened, and puts it in eval mode. */
    public static <M extends Module> M trained(M model, Tensor... inputs) {
        for (Tensor input : inputs) {
            model.call(input.mul(new Scalar(2.0)).add(new Scalar(0.5)));
        }
        model.eval();
        return model;
    }
}
