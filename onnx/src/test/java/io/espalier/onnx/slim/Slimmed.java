package io.espalier.onnx.slim;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.onnx.inputs.Inputs;
import io.espalier.onnx.inputs.RandomInputs;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.run.OnnxSession;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.util.Map;
import java.util.Objects;

/** What slimmed models give, held against what they should. */
final class Slimmed {
    private static final RandomInputs INPUTS =
            Inputs.random()
                    .size("L", 5)
                    .size("sequence_length", 9)
                    .size("?", 48)
                    .size("p2o.DynamicDimension.1", 64)
                    .size("p2o.DynamicDimension.2", 64);

    private Slimmed() {}

    private static Map<String, Tensor> run(OnnxModel model, Map<String, Tensor> inputs) {
        try (var session = OnnxSession.open(model, s -> s.threads(1))) {
            return session.run(inputs);
        }
    }

    /** Runs three models on the same inputs: the second and the third should give the same. */
    static void assertSlim(OnnxModel model, OnnxModel zeroed, OnnxModel slim, double tolerance) {
        try (var scope = new PointerScope();
                var batches = INPUTS.limit(8).checkedFor(model).iterator()) {
            Map<String, Tensor> inputs = batches.next();
            Map<String, Tensor> expected = run(zeroed, inputs);
            Map<String, Tensor> found = run(slim, inputs);
            run(model, inputs)
                    .forEach((name, tensor) -> {
                        Tensor wanted =
                                Objects.requireNonNull(expected.get(name)).to(ScalarType.Float);
                        Tensor given = Objects.requireNonNull(found.get(name)).to(ScalarType.Float);
                        assertArrayEquals(Tensors.shape(tensor), Tensors.shape(given));
                        double extent = wanted.max().item_float() - wanted.min().item_float();
                        double range = Math.max(extent, 1e-2);
                        double error = wanted.sub(given).abs().max().item_float();
                        assertTrue(error <= tolerance * range, () -> error + " of " + range);
                    });
        }
    }
}
