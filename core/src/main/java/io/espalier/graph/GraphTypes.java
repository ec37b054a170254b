package io.espalier.graph;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.function.Function;
import java.util.stream.Collectors;

/**
 * The type and shape of each value of a graph, beside it. They are found by running the graph,
 * which is right for modules of any kind: on an example; or, where it has free dimensions, on zeros
 * of several sizes, from which follows how each length depends on them.
 *
 * @param types by value, in the order of the program
 */
public record GraphTypes(SequencedMap<Value, TensorType> types) {
    /** Copies the map. */
    public GraphTypes {
        types = Collections.unmodifiableSequencedMap(new LinkedHashMap<>(types));
    }

    /** The types in one call. */
    public static GraphTypes of(GraphModule module, Tensor... example) {
        Needed.of(module, "the graph module");
        List<Tensor> values = Needed.all(example, "the example");
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            SequencedMap<Value, TensorType> types = new LinkedHashMap<>();
            List<Value> inputs = module.graph().inputs();
            for (int i = 0; i < Math.min(inputs.size(), values.size()); i++) {
                types.put(inputs.get(i), TensorType.of(values.get(i)));
            }
            module.run(
                    values,
                    (node, operands, results) -> {
                        for (int i = 0; i < results.size(); i++) {
                            types.put(node.results().get(i), TensorType.of(results.get(i)));
                        }
                    });
            return new GraphTypes(types);
        }
    }

    /**
     * The types in any call, with expressions of the free dimensions' names for lengths; a length
     * that follows from them in no simple way is {@code ?}.
     *
     * @throws EspalierException if nothing is known of the graph's inputs, or it runs on none of
     *     the sizes tried
     */
    public static GraphTypes of(GraphModule module) {
        return new GraphTypes(SymbolicShapes.of(Needed.of(module, "the graph module")));
    }

    /** What comes of zeros of the example's sizes, or of the smallest that the graph runs on. */
    static <T> T withZeros(GraphModule module, Function<List<Tensor>, T> run) {
        Signature signature = Needed.of(module, "the graph module").graph().signature();
        signature.requireKnown();
        Map<String, Long> free = new LinkedHashMap<>(signature.example());
        if (!free.keySet().containsAll(signature.freeNames())) {
            free.putAll(SymbolicShapes.smallestSizes(module));
        }
        free.computeIfPresent("batch", (name, size) -> 1L);
        try (var scope = new PointerScope()) {
            return run.apply(module.graph().signature().zeros(free));
        }
    }

    /** The type of a value. */
    public TensorType of(Value value) {
        TensorType type = types.get(value);
        if (type == null) {
            throw new EspalierException("The graph has no value '" + value + "'.");
        }
        return type;
    }

    /** One value on a line: {@code conv: Float[batch, 8, 6, 6]}. */
    @Override
    public String toString() {
        return types.entrySet().stream()
                .map(entry -> entry.getKey() + ": " + entry.getValue())
                .collect(Collectors.joining("\n"));
    }
}
