package io.espalier.onnx.lower;

import io.espalier.graph.GraphBuilder;
import io.espalier.graph.GraphOperator;
import io.espalier.graph.Size;
import io.espalier.graph.Value;
import io.espalier.nn.Module;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.tensor.EspalierException;

import org.bytedeco.pytorch.Tensor;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.function.Supplier;

/** The graph that is being written, and which of its values stand for those of the file. */
final class GraphWriter {
    final GraphBuilder builder = new GraphBuilder();
    final OnnxGraph graph;
    final Facts facts;
    final long opset;

    private final Places places = new Places();
    private final Map<String, Value> values = new HashMap<>();
    private final Map<Object, Placed> modules = new HashMap<>();
    private final Set<OnnxNode> absorbed = new HashSet<>();
    private final Preparation prepared;
    private final Map<String, OnnxNode> layers = new LinkedHashMap<>();
    private final Map<String, String> tensors = new LinkedHashMap<>();

    /** A module and where it stands. */
    private record Placed(String path, Module module) {}

    /** Begins an empty graph. */
    GraphWriter(Preparation prepared, Facts facts) {
        this.prepared = prepared;
        this.graph = prepared.model().graph();
        this.facts = facts;
        this.opset = prepared.model().opset();
    }

    /** Says which value stands for one of the file. */
    void put(String name, Value value) {
        values.put(name, value);
    }

    /** The value that stands for one of the file; constants are put into the graph when needed. */
    Value value(String name) {
        Value known = values.get(name);
        if (known == null) {
            known = made(name);
            values.put(name, known);
        }
        return known;
    }

    /** The same; of a constant, a tensor that is no parameter. */
    Value fixed(String name) {
        ConstantTensor constant = graph.constant(name);
        if (constant != null && !values.containsKey(name)) {
            values.put(name, constant(name, constant.toTensor()));
        }
        return value(name);
    }

    private Value made(String name) {
        ConstantTensor constant = graph.constant(name);
        if (constant != null) {
            if (!prepared.isTrainable(name, constant)) {
                return constant(name, constant.toTensor());
            }
            String place = places.ofTensor(name);
            tensors.put(place, name);
            return builder.parameter(place, constant.toTensor());
        }
        List<Size> integers = facts.integers(name);
        if (integers == null) {
            throw new EspalierException("Nothing has computed the value '" + name + "' yet.");
        }
        return ofSizes(
                name,
                integers,
                Objects.requireNonNull(facts.type(name)),
                Objects.requireNonNull(facts.shape(name)));
    }

    /** A tensor that the file does not have. */
    Value constant(String name, Tensor tensor) {
        return builder.constant(places.ofTensor(name), tensor);
    }

    /** A tensor of numbers that follow from the inputs' lengths. */
    Value ofSizes(String name, List<Size> sizes, ElementType type, List<Size> shape) {
        if (sizes.stream().allMatch(Size.Fixed.class::isInstance)) {
            long[] numbers = sizes.stream().mapToLong(s -> ((Size.Fixed) s).value()).toArray();
            long[] extents = shape.stream().mapToLong(s -> ((Size.Fixed) s).value()).toArray();
            return constant(name, Constants.integers(type, numbers, extents));
        }
        List<Value> parts = new ArrayList<>();
        for (Size size : sizes) {
            parts.add(
                    builder.apply(
                            GraphOperator.ARANGE,
                            Map.of("start", size, "end", new Size.Plus(size, 1))));
        }
        Value joined =
                parts.size() == 1
                        ? parts.getFirst()
                        : builder.apply(
                                GraphOperator.CAT, Map.of("dim", 0), parts.toArray(Value[]::new));
        Value shaped =
                shape.size() == 1
                        ? joined
                        : builder.apply(GraphOperator.RESHAPE, Map.of("shape", shape), joined);
        return type == ElementType.INT64
                ? shaped
                : builder.apply(GraphOperator.CAST, Map.of("dtype", type.libtorch()), shaped);
    }

    /**
     * A call of a module; calls of the same weights in the same way are calls of one module.
     *
     * @param key what makes it the same
     * @param weight the name of its first tensor
     */
    List<Value> call(
            Object key,
            String weight,
            OnnxNode node,
            Supplier<Module> maker,
            int results,
            Value... operands) {
        Placed placed = modules.get(key);
        if (placed == null) {
            placed = new Placed(places.ofModule(weight, node), maker.get());
            modules.put(key, placed);
            layers.put(placed.path, node);
        }
        return builder.callAll(placed.path, placed.module, results, operands);
    }

    /** What the module's weights were made of. */
    LoweredWeights weights() {
        return new LoweredWeights(prepared.model(), layers, tensors);
    }

    /** Leaves a node out, whose result another gives. */
    void absorb(OnnxNode node) {
        absorbed.add(node);
    }

    /** Whether a node needs no nodes of its own. */
    boolean isDone(OnnxNode node) {
        return absorbed.contains(node)
                || node.outputs().stream()
                        .allMatch(output -> output.isEmpty() || facts.integers(output) != null);
    }
}
