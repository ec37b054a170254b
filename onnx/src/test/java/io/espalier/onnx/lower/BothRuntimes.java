package io.espalier.onnx.lower;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.run.OnnxSession;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.util.Map;

/** Holds what libtorch computes of a lowered model against what ONNX Runtime does. */
final class BothRuntimes {
    private static final double TOLERANCE = 1e-4;

    /** The share of bytes that may be one more or less. */
    private static final double MOST_OTHERS = 0.01;

    private BothRuntimes() {}

    /** Lowers a model and compares the results for these inputs. */
    static LoweredModel agree(OnnxModel model, Map<String, Tensor> inputs) {
        LoweredModel lowered = Lowering.lower(model);
        agree(lowered, model, inputs);
        return lowered;
    }

    /** The same, where bytes may be one more or less if they are so near the middle. */
    static void agreeOnSteps(OnnxModel model, Map<String, Tensor> inputs) {
        agree(Lowering.lower(model), model, inputs, 1);
    }

    static void agree(LoweredModel lowered, OnnxModel model, Map<String, Tensor> inputs) {
        agree(lowered, model, inputs, 0);
    }

    private static void agree(
            LoweredModel lowered, OnnxModel model, Map<String, Tensor> inputs, int steps) {
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard();
                var session = OnnxSession.open(model, settings -> settings.threads(1))) {
            Map<String, Tensor> expected = session.run(inputs);
            Map<String, Tensor> actual = lowered.run(inputs);

            assertEquals(expected.keySet(), actual.keySet());
            actual.forEach((name, tensor) -> {
                Tensor wanted = expected.get(name);
                assertNotNull(wanted, name);
                same(name, wanted, tensor, steps);
            });
        }
    }

    private static void same(String name, Tensor expected, Tensor actual, int steps) {
        assertArrayEquals(Tensors.shape(expected), Tensors.shape(actual), name);
        assertEquals(Tensors.type(expected), Tensors.type(actual), name);
        float[] wanted = Tensors.floats(expected.to(ScalarType.Float).contiguous());
        float[] found = Tensors.floats(actual.to(ScalarType.Float).contiguous());
        double size = 1;
        for (float number : wanted) {
            size = Float.isFinite(number) ? Math.max(size, Math.abs(number)) : size;
        }
        boolean bytes = !expected.is_floating_point() && expected.element_size() == 1;
        double tolerance = bytes ? steps : TOLERANCE * size;
        int others = 0;
        for (int i = 0; i < wanted.length; i++) {
            boolean equal = Float.compare(wanted[i], found[i]) == 0;
            assertTrue(
                    equal || Math.abs(wanted[i] - found[i]) <= tolerance,
                    "%s[%d] is %s and should be %s".formatted(name, i, found[i], wanted[i]));
            others += bytes && !equal ? 1 : 0;
        }
        assertTrue(
                others <= 1 + wanted.length * MOST_OTHERS,
                "%d of %d bytes are others".formatted(others, wanted.length));
    }
}
