package io.espalier.graph;

import io.espalier.graph.SizeSearch.Sample;
import io.espalier.tensor.EspalierException;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
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
    /** Sizes that free dimensions are given; a model may need some extent. */
    private static final long[] SIZES = {2, 8, 32, 64, 224};

    /** Copies the map. */
    public GraphTypes {
        types = Collections.unmodifiableSequencedMap(new LinkedHashMap<>(types));
    }

    /** The types in one call. */
    public static GraphTypes of(GraphModule module, Tensor... example) {
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            SequencedMap<Value, TensorType> types = new LinkedHashMap<>();
            List<Value> inputs = module.graph().inputs();
            for (int i = 0; i < Math.min(inputs.size(), example.length); i++) {
                types.put(inputs.get(i), TensorType.of(example[i]));
            }
            module.run(
                    List.of(example),
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
        List<Sample> samples = samples(module);
        SequencedMap<Value, TensorType> types = new LinkedHashMap<>();
        samples.getFirst()
                .types()
                .forEach((value, type) -> types.put(value, general(value, type, samples)));
        return new GraphTypes(types);
    }

    private static TensorType general(Value value, TensorType first, List<Sample> samples) {
        List<Size> shape = new ArrayList<>();
        for (int dim = 0; dim < first.shape().size(); dim++) {
            List<Long> lengths = new ArrayList<>();
            for (Sample sample : samples) {
                TensorType type = sample.types().get(value);
                lengths.add(
                        type != null
                                        && dim < type.shape().size()
                                        && type.shape().get(dim) instanceof Size.Fixed(long length)
                                ? length
                                : -1L);
            }
            shape.add(SizeSearch.ofFree(lengths, samples));
        }
        return new TensorType(first.type(), shape);
    }

    /** A first call, one with each free dimension changed, and one with all. */
    private static List<Sample> samples(GraphModule module) {
        Signature signature = module.graph().signature();
        signature.requireKnown();
        List<String> free = signature.freeNames();
        for (long size : SIZES) {
            Map<String, Long> base = new LinkedHashMap<>();
            free.forEach(name -> base.put(name, sizeOf(name, size, base.size())));
            Sample first = sample(module, base);
            if (first != null) {
                List<Sample> all = new ArrayList<>(List.of(first));
                Map<String, Long> every = new LinkedHashMap<>(base);
                base.forEach((name, now) -> {
                    every.merge(name, 2L, (a, b) -> a * b);
                    for (long changed : new long[] {now + 1, 2 * now}) {
                        Map<String, Long> one = new LinkedHashMap<>(base);
                        one.put(name, changed);
                        add(all, sample(module, one));
                    }
                });
                add(all, sample(module, every));
                return all;
            }
        }
        throw new EspalierException(
                "The graph runs on none of the sizes tried for "
                        + signature.types().values()
                        + "; give an example: GraphTypes.of(module, example).");
    }

    /** All different, so that it is seen which of them a length comes from. */
    private static long sizeOf(String name, long size, int number) {
        return name.equals("batch") ? 2 : size + number;
    }

    private static void add(List<Sample> samples, @Nullable Sample sample) {
        if (sample != null) {
            samples.add(sample);
        }
    }

    private static @Nullable Sample sample(GraphModule module, Map<String, Long> free) {
        try (var scope = new PointerScope()) {
            List<Tensor> inputs = module.graph().signature().zeros(free);
            return new Sample(of(module, inputs.toArray(Tensor[]::new)).types, free);
        } catch (EspalierException e) { // it takes no such sizes
            return null;
        }
    }

    /** What comes of the smallest zeros that the graph runs on. */
    static <T> T withZeros(GraphModule module, Function<List<Tensor>, T> run) {
        Map<String, Long> free = new LinkedHashMap<>(samples(module).getFirst().free());
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
