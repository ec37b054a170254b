package io.espalier.slim;

import io.espalier.graph.Graph;
import io.espalier.graph.GraphCost;
import io.espalier.graph.GraphModule;
import io.espalier.graph.GraphTypes;
import io.espalier.graph.Size;
import io.espalier.graph.TensorType;
import io.espalier.graph.Value;
import io.espalier.graph.WholeTrace;
import io.espalier.nn.Module;
import io.espalier.tensor.EspalierException;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * What a model computes on an example.
 *
 * @param program computes the same
 * @param extents of each value
 * @param elements the type of each value's
 */
record TracedModel(
        GraphModule program, Map<Value, long[]> extents, Map<Value, ScalarType> elements) {
    /**
     * Traces a model in inference mode, {@link Unwatched} if it trains for integers; afterwards it
     * is in the modes that it was in.
     *
     * @throws EspalierException if the model can't be traced; the message names the line
     */
    static TracedModel of(Module model, List<Tensor> example) {
        try (var trial = new Trial(model);
                var unwatched = new Unwatched(model)) {
            Tensor[] inputs = example.toArray(Tensor[]::new);
            GraphModule program =
                    model instanceof GraphModule own ? own : WholeTrace.of(model, example);
            Map<Value, long[]> extents = new HashMap<>();
            Map<Value, ScalarType> elements = new HashMap<>();
            GraphTypes.of(program, inputs)
                    .types()
                    .forEach((value, type) -> {
                        extents.put(value, lengths(type));
                        elements.put(value, type.type());
                    });
            return new TracedModel(program, extents, elements);
        }
    }

    private static long[] lengths(TensorType type) {
        return type.shape().stream()
                .mapToLong(size -> size instanceof Size.Fixed(long length) ? length : -1)
                .toArray();
    }

    /** What it costs on the example. */
    SlimResult.Cost cost(List<Tensor> example) {
        GraphCost cost = costs(example);
        return new SlimResult.Cost(cost.parameters(), cost.macs());
    }

    /** What each step costs on the example. */
    GraphCost costs(List<Tensor> example) {
        try (var trial = new Trial(program)) {
            return GraphCost.of(program, example.toArray(Tensor[]::new));
        }
    }

    /** Whether another trace has the same steps, on values of the same extents. */
    boolean isSameAs(TracedModel other) {
        return graph().inputs().equals(other.graph().inputs())
                && graph().nodes().equals(other.graph().nodes())
                && graph().outputs().equals(other.graph().outputs())
                && extents.keySet().equals(other.extents.keySet())
                && extents.keySet().stream()
                        .allMatch(value -> Arrays.equals(extents(value), other.extents(value)));
    }

    /** How often a module is called. */
    long callsOf(String path) {
        return graph().nodes().stream()
                .filter(node -> node.modulePath().filter(path::equals).isPresent())
                .count();
    }

    Graph graph() {
        return program.graph();
    }

    /** The extents of a value's dimensions. */
    long[] extents(Value value) {
        long[] known = extents.get(value);
        if (known == null) {
            throw new EspalierException("The program has no value '" + value + "'.");
        }
        return known;
    }

    /** The type of a value's elements. */
    ScalarType type(Value value) {
        return elements.getOrDefault(value, ScalarType.Float);
    }

    /** As they are printed. */
    String printed(Value value) {
        return Arrays.toString(extents(value));
    }
}
