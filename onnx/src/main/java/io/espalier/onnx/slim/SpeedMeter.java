package io.espalier.onnx.slim;

import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.run.OnnxSession;
import io.espalier.onnx.run.PairedTime;

import org.bytedeco.pytorch.Tensor;

import java.util.Map;

/** How fast models are beside the one that came in, in turns, on one batch. */
final class SpeedMeter implements AutoCloseable {
    private static final int TURNS = 4;

    private final OnnxSession reference;
    private final Map<String, Tensor> batch;

    SpeedMeter(OnnxModel reference, Map<String, Tensor> batch) {
        this.reference = OnnxSession.open(reference);
        this.batch = batch;
    }

    /** The share of the reference's time that a model takes. */
    double share(OnnxModel model) {
        try (var session = OnnxSession.open(model)) {
            return 1 / PairedTime.of(reference, session, batch, TURNS).speedup();
        }
    }

    @Override
    public void close() {
        reference.close();
    }
}
