package io.espalier.onnx.zoo;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.onnx.inputs.Inputs;
import io.espalier.onnx.inputs.RandomInputs;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.run.OnnxSession;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/** What the models of the zoo are run with, and their results held against each other. */
final class Batches {
    private static final RandomInputs INPUTS =
            Inputs.random()
                    .size("sequence", 9)
                    .size("length", 5)
                    .size("written", 4)
                    .size("images", 4)
                    .size("height", 32)
                    .size("width", 48);

    private Batches() {}

    /** Random inputs for a model, the same in each run. */
    static RandomInputs inputs() {
        return INPUTS.limit(16);
    }

    /** The first batch, as tensors of the caller's scope. */
    static Map<String, Tensor> first(OnnxModel model) {
        var batch = new HashMap<String, Tensor>();
        try (var loop = inputs().checkedFor(model).iterator()) {
            loop.next().forEach((name, tensor) -> batch.put(name, tensor.clone()));
        }
        return batch;
    }

    static Map<String, Tensor> run(OnnxModel model, Map<String, Tensor> inputs) {
        try (var session = OnnxSession.open(model, s -> s.threads(1))) {
            return session.run(inputs);
        }
    }

    /** Fails where results are further apart than a share of the largest number. */
    static void assertNear(
            Map<String, Tensor> expected, Map<String, Tensor> actual, double tolerance) {
        assertEquals(List.copyOf(expected.keySet()), List.copyOf(actual.keySet()));
        expected.forEach((name, tensor) -> {
            Tensor other = Objects.requireNonNull(actual.get(name));
            assertArrayEquals(Tensors.shape(tensor), Tensors.shape(other), name);
            assertEquals(Tensors.type(tensor), Tensors.type(other), name);
            float[] a = Tensors.floats(tensor.to(ScalarType.Float).contiguous());
            float[] b = Tensors.floats(other.to(ScalarType.Float).contiguous());
            double size = 1e-3;
            for (float number : a) {
                assertTrue(Float.isFinite(number), name);
                size = Math.max(size, Math.abs(number));
            }
            for (int i = 0; i < a.length; i++) {
                assertEquals(a[i], b[i], tolerance * size, name + "[" + i + "]");
            }
        });
    }
}
