package io.espalier.onnx.repair;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.proto.ValueInfoProto;
import io.espalier.onnx.run.OnnxSession;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.TreeMap;

/** What two models give for the same inputs, drawn from a seed. */
final class Results {
    private static final double TOLERANCE = 1e-4;

    private Results() {}

    /** All inputs of one shape. */
    static void assertSame(OnnxModel before, OnnxModel after, long... shape) {
        var shapes = new LinkedHashMap<String, long[]>();
        before.graph().inputs().forEach(input -> shapes.put(input.getName(), shape));
        assertSame(before, after, shapes);
    }

    static void assertSame(OnnxModel before, OnnxModel after, Map<String, long[]> shapes) {
        assertEquals(names(before), names(after), "names of results");
        try (var scope = new PointerScope();
                var first = OnnxSession.open(before, s -> s.threads(1).optimized(false));
                var second = OnnxSession.open(after, s -> s.threads(1).optimized(false))) {
            Map<String, Tensor> inputs = inputs(before, shapes);
            Map<String, Tensor> expected = first.run(inputs);
            Map<String, Tensor> actual = second.run(inputs);
            expected.forEach((name, tensor) ->
                    assertNear(name, tensor, Objects.requireNonNull(actual.get(name))));
        }
    }

    private static List<String> names(OnnxModel model) {
        return model.graph().outputs().stream().map(ValueInfoProto::getName).toList();
    }

    private static Map<String, Tensor> inputs(OnnxModel model, Map<String, long[]> shapes) {
        var random = new Random(11);
        var inputs = new LinkedHashMap<String, Tensor>();
        for (ValueInfoProto input : model.graph().inputs()) {
            long[] shape = Objects.requireNonNull(shapes.get(input.getName()));
            int count = (int) Arrays.stream(shape).reduce(1, (a, b) -> a * b);
            var type = ElementType.of(input.getType().getTensorType().getElemType());
            if (type.isFloating()) {
                var values = new float[count];
                for (int i = 0; i < count; i++) {
                    values[i] = (float) (2 * random.nextGaussian());
                }
                inputs.put(input.getName(), Tensors.of(values, shape));
            } else {
                long[] values = random.longs(count, 0, 100).toArray();
                inputs.put(input.getName(), Tensors.of(values, shape));
            }
        }
        return inputs;
    }

    private static void assertNear(String name, Tensor expected, Tensor actual) {
        assertArrayEquals(Tensors.shape(expected), Tensors.shape(actual), name);
        assertEquals(Tensors.type(expected), Tensors.type(actual), name);
        float[] wanted = Tensors.floats(expected.to(ScalarType.Float));
        float[] found = Tensors.floats(actual.to(ScalarType.Float));
        double scale = 0;
        double error = 0;
        for (int i = 0; i < wanted.length; i++) {
            assertTrue(Float.isFinite(wanted[i]), () -> name + " is not finite");
            scale = Math.max(scale, Math.abs(wanted[i]));
            error = Math.max(error, Math.abs(wanted[i] - found[i]));
            assertTrue(Float.isFinite(found[i]), () -> name + " is not finite any more");
        }
        double most = TOLERANCE * scale;
        double worst = error;
        assertTrue(worst <= most, () -> "%s differs by %g of %g".formatted(name, worst, most));
    }

    /** How often each operator is called, in alphabetical order: {@code Add 1, Conv 2}. */
    static String operators(OnnxModel model) {
        var counts = new TreeMap<String, Integer>();
        for (OnnxNode node : model.graph().nodes()) {
            counts.merge(node.op(), 1, Integer::sum);
        }
        return counts.entrySet().stream()
                .map(entry -> entry.getKey() + " " + entry.getValue())
                .reduce((a, b) -> a + ", " + b)
                .orElse("");
    }

    /** Asserts that a pass leaves a model as it is. */
    static void assertUntouched(String pass, OnnxModel model) {
        assertEquals(model.toProto(), Repair.pass(pass).run(model).toProto());
    }
}
