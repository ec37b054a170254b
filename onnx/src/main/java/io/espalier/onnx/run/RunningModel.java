package io.espalier.onnx.run;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;

import java.util.Map;

/** A model made ready in a runtime; safe to run from several threads. */
public interface RunningModel extends AutoCloseable {
    /**
     * Runs the model.
     *
     * @param inputs by name; they are read where they lie
     * @return the results by name, which belong to the caller's {@code PointerScope}
     * @throws io.espalier.tensor.EspalierException if the runtime can't run it with these
     */
    Map<String, Tensor> run(Map<String, Tensor> inputs);

    /** Runs the model for those of its results that are tensors of numbers. */
    default Map<String, Tensor> runTensors(Map<String, Tensor> inputs) {
        return run(inputs);
    }

    /** Runs without looking at the results, for measuring. */
    default void runOnly(Map<String, Tensor> inputs) {
        try (var scope = new PointerScope()) {
            run(inputs);
        }
    }

    /**
     * Runs it until it is as fast as in a service that has run for a while, for measuring. Nothing
     * has to be done where that is from the first run on.
     */
    default void warmUp(Map<String, Tensor> inputs) {}

    /** Frees what the runtime holds; the model must not be run any more. */
    @Override
    void close();
}
