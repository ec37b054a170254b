package io.espalier.onnx.shape;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.run.OnnxSession;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/** Compares what is inferred of values with what they are in a run by ONNX Runtime. */
final class ActualShapes {
    private ActualShapes() {}

    /**
     * Fails unless types and extents of all values that nodes make are found, for inputs of any
     * extents as for those given, and are those of a run.
     *
     * @return how many values were compared
     */
    static int check(OnnxModel model, Map<String, Tensor> inputs) {
        Shapes symbolic = Shapes.of(model);
        Map<String, List<Long>> extents = new HashMap<>();
        inputs.forEach((name, tensor) -> extents.put(name, extents(tensor)));
        Map<String, Long> sizes = sizes(symbolic, extents);
        Shapes fixed = Shapes.of(model, extents);
        Map<String, Tensor> actual = run(model, inputs);
        actual.forEach((name, tensor) -> {
            List<Long> shape = extents(tensor);
            assertEquals(shape, fixed.extents(name), () -> name + " is " + fixed.type(name));
            List<Extent> found = Objects.requireNonNull(symbolic.shape(name), name);
            assertEquals(
                    shape.toString(),
                    found.stream().map(extent -> extent.with(sizes)).toList().toString(),
                    () -> name + " is " + found);
            assertEquals(
                    Tensors.type(tensor),
                    Objects.requireNonNull(symbolic.elements(name), name).libtorch(),
                    name);
        });
        return actual.size();
    }

    private static Map<String, Tensor> run(OnnxModel model, Map<String, Tensor> inputs) {
        var values = new ArrayList<String>();
        model.graph().nodes().forEach(node -> values.addAll(node.outputs()));
        values.removeIf(String::isEmpty);
        try (var session =
                OnnxSession.open(model, s -> s.threads(1).optimized(false).tapping(values))) {
            return session.run(inputs);
        }
    }

    /** What each free dimension is where inputs have these extents. */
    private static Map<String, Long> sizes(Shapes symbolic, Map<String, List<Long>> extents) {
        var sizes = new HashMap<String, Long>();
        extents.forEach((name, shape) -> {
            List<Extent> free = Objects.requireNonNull(symbolic.shape(name), name);
            for (int dim = 0; dim < free.size(); dim++) {
                for (String symbol : free.get(dim).names()) {
                    sizes.put(symbol, shape.get(dim));
                }
            }
        });
        return sizes;
    }

    /** A run with random inputs, whose free dimensions have these sizes. */
    static void checkRandom(OnnxModel model, Map<String, Long> sizes) {
        Shapes shapes = Shapes.of(model);
        try (var scope = new PointerScope()) {
            var inputs = new HashMap<String, Tensor>();
            model.graph()
                    .inputs()
                    .forEach(input -> {
                        ValueType type = shapes.type(input.getName());
                        long[] shape =
                                Objects.requireNonNull(type.shape()).stream()
                                        .mapToLong(extent -> extent.with(sizes).value())
                                        .toArray();
                        Tensor random = Tensors.rand(shape).mul(new Scalar(3));
                        inputs.put(
                                input.getName(),
                                random.to(Objects.requireNonNull(type.elements()).libtorch()));
                    });
            check(model, inputs);
        }
    }

    private static List<Long> extents(Tensor tensor) {
        var shape = new ArrayList<Long>();
        for (long extent : Tensors.shape(tensor)) {
            shape.add(extent);
        }
        return shape;
    }
}
