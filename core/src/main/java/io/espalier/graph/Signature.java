package io.espalier.graph;

import io.espalier.graph.FreeDimensions.Place;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Internal;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;

/**
 * What a graph is called with.
 *
 * @param types of its inputs, in their order: those of the example, with names where a dimension is
 *     free; empty if nothing is known
 * @param example the sizes of the free dimensions there
 * @param strict whether the program is right for sizes that are not free only as they are here
 */
@Internal
public record Signature(
        SequencedMap<Value, TensorType> types, Map<String, Long> example, boolean strict) {
    /** What is made of zeros to look at shapes is no larger than this: a file may ask for more. */
    private static final long MOST_ELEMENTS = 1L << 28;

    /** Nothing is known. */
    public static final Signature UNKNOWN = new Signature(new LinkedHashMap<>(), Map.of(), false);

    /** Copies the maps. */
    public Signature {
        types = Collections.unmodifiableSequencedMap(new LinkedHashMap<>(types));
        example = Collections.unmodifiableMap(new LinkedHashMap<>(example));
    }

    /** The signature of a call with these tensors, some dimensions of which are free. */
    static Signature of(
            List<Value> inputs,
            List<Tensor> example,
            Map<String, List<Place>> free,
            boolean strict) {
        SequencedMap<Value, TensorType> types = new LinkedHashMap<>();
        for (int i = 0; i < inputs.size(); i++) {
            TensorType plain = TensorType.of(example.get(i));
            List<Size> shape = new ArrayList<>(plain.shape());
            int input = i;
            free.forEach((name, places) ->
                    places.stream()
                            .filter(place -> place.input() == input)
                            .forEach(place -> shape.set(place.dim(), new Size.Free(name))));
            types.put(inputs.get(i), new TensorType(plain.type(), shape));
        }
        Map<String, Long> sizes = new LinkedHashMap<>();
        free.forEach((name, places) ->
                sizes.put(
                        name,
                        example.get(places.getFirst().input()).size(places.getFirst().dim())));
        return new Signature(types, sizes, strict);
    }

    /**
     * The sizes of the free dimensions in a call.
     *
     * @throws EspalierException if an input has another size where that is not free, or dimensions
     *     of one name differ
     */
    Map<String, Long> sizes(List<Tensor> inputs) {
        Map<String, Long> sizes = new LinkedHashMap<>();
        int i = 0;
        for (TensorType type : types.values()) {
            Tensor input = inputs.get(i++);
            boolean fits = input.dim() == type.shape().size();
            for (int dim = 0; fits && dim < type.shape().size(); dim++) {
                long size = input.size(dim);
                fits =
                        switch (type.shape().get(dim)) {
                            case Size.Fixed(long value) -> value == size || !strict;
                            case Size.Free(String name) -> {
                                Long before = sizes.putIfAbsent(name, size);
                                yield before == null || before == size;
                            }
                            default -> true;
                        };
            }
            if (!fits && strict) {
                throw new EspalierException(
                        "The graph was traced for "
                                + types
                                + ", and computes by these sizes; it was called with "
                                + inputs.stream().map(Tensors::shape).map(Arrays::toString).toList()
                                + ". Trace it with the dimensions free that change:"
                                + " GraphModule.trace(model, example, FreeDimensions.of(…)).");
            }
        }
        return sizes;
    }

    /** The names of the free dimensions. */
    public List<String> freeNames() {
        return types.values().stream()
                .flatMap(type -> type.shape().stream())
                .filter(Size.Free.class::isInstance)
                .map(size -> ((Size.Free) size).name())
                .distinct()
                .toList();
    }

    void requireKnown() {
        if (types.isEmpty()) {
            throw new EspalierException(
                    "Nothing is known of the graph's inputs; give an example of them.");
        }
    }

    /** Inputs of zeros. */
    public List<Tensor> zeros(Map<String, Long> free) {
        return types.values().stream().map(type -> zeros(type, free)).toList();
    }

    private static Tensor zeros(TensorType type, Map<String, Long> free) {
        long[] shape =
                type.shape().stream()
                        .mapToLong(size ->
                                size.resolve(name -> free.getOrDefault(name, 1L), dim -> 1L))
                        .toArray();
        double elements = Arrays.stream(shape).mapToDouble(size -> size).reduce(1, (a, b) -> a * b);
        if (elements > MOST_ELEMENTS || Arrays.stream(shape).anyMatch(size -> size < 0)) {
            throw new EspalierException(
                    "A graph's input of shape "
                            + Arrays.toString(shape)
                            + " is too large to be tried with zeros; give an example.");
        }
        return Tensors.zeros(type.type(), shape);
    }

    /** Whether a run needs {@link #sizes}. */
    boolean isNeeded(List<Node> nodes) {
        return strict
                || nodes.stream()
                        .anyMatch(node ->
                                node instanceof Node.OperatorCall call && call.dependsOnSizes());
    }
}
