package io.espalier.quant;

import io.espalier.nn.Module;
import io.espalier.tensor.Needed;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;

import java.util.List;
import java.util.stream.StreamSupport;

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
        return runAll(model, eachAlone(Needed.of(batches, "the batches")));
    }

    /** The same for a model of several inputs, which each batch lists. */
    static boolean runAll(Module model, Iterable<List<Tensor>> batches) {
        boolean any = false;
        Needed.of(model, "the model to calibrate");
        for (List<Tensor> batch : Needed.of(batches, "the batches")) {
            any = true;
            try (var scope = new PointerScope();
                    var noGrad = new NoGradGuard()) {
                model.callAll(Needed.of(batch, "a batch of the calibration data"));
            }
        }
        return any;
    }

    /** Batches of a single input as lists, one by one. */
    static Iterable<List<Tensor>> eachAlone(Iterable<Tensor> batches) {
        return () ->
                StreamSupport.stream(batches.spliterator(), false)
                        .<List<Tensor>>map(batch ->
                                List.of(Needed.of(batch, "a batch of the calibration data")))
                        .iterator();
    }
}
