package io.espalier.graph;

import io.espalier.tensor.EspalierException;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SequencedMap;
import java.util.Set;

/**
 * Finds how the lengths of a graph's values depend on its free dimensions, by running it on zeros
 * of a few sizes: of all expressions that fit what was seen, two that differ for another size are
 * told apart by running that size, until those left say the same of each.
 */
final class SymbolicShapes {
    /** Sizes to begin with; a model may need some extent. */
    private static final long[] SIZES = {2, 8, 32, 64, 224};

    /**
     * The strides that are looked for end here, so a length that is constant as far is constant.
     */
    private static final long REACH = 64;

    /**
     * Samples differ in nothing else, as a rule; a graph for pictures is run on as few as can be.
     */
    private static final long BATCH_REACH = 6;

    /** A graph may take multiples of this only. */
    private static final long COARSEST_STEP = 64;

    /** More runs than this tell no more. */
    private static final int MOST_RUNS = 64;

    private final GraphModule module;
    private final Map<String, Long> base;
    private final List<Sample> samples;

    /** By free dimension, what a size that is tried must be a multiple of, beyond the base. */
    private final Map<String, Long> steps = new HashMap<>();

    /** By what was seen, one length of each sample. */
    private Map<List<Long>, List<Size>> fitting = new HashMap<>();

    /**
     * A run on zeros.
     *
     * @param types what was seen of each value
     * @param free the sizes of the free dimensions
     */
    private record Sample(Map<Value, TensorType> types, Map<String, Long> free) {
        /** A length, or -1 if it has none. */
        long length(Value value, int dim) {
            TensorType type = types.get(value);
            return type != null
                            && dim < type.shape().size()
                            && type.shape().get(dim) instanceof Size.Fixed(long length)
                    ? length
                    : -1;
        }
    }

    private SymbolicShapes(GraphModule module) {
        this.module = module;
        Sample first = smallest(module);
        base = first.free;
        samples = new ArrayList<>(List.of(first));
        Map<String, Long> doubled = new LinkedHashMap<>(base);
        base.forEach((name, size) -> {
            steps.put(name, 1L);
            doubled.put(name, 2 * size);
            for (long changed : new long[] {size + 1, 2 * size, size + reach(name)}) {
                run(with(name, changed));
            }
        });
        run(doubled);
        if (module.graph().signature().example().keySet().containsAll(base.keySet())) {
            run(module.graph().signature().example());
        }
    }

    /**
     * The types in any call.
     *
     * @throws EspalierException if nothing is known of the graph's inputs, or it runs on none of
     *     the sizes tried
     */
    static SequencedMap<Value, TensorType> of(GraphModule module) {
        return new SymbolicShapes(module).types();
    }

    /** The smallest sizes of free dimensions that were found to run. */
    static Map<String, Long> smallestSizes(GraphModule module) {
        return smallest(module).free;
    }

    private SequencedMap<Value, TensorType> types() {
        tellApart();
        SequencedMap<Value, TensorType> types = new LinkedHashMap<>();
        samples.getFirst()
                .types
                .forEach((value, type) -> {
                    List<Size> shape = new ArrayList<>();
                    for (int dim = 0; dim < type.shape().size(); dim++) {
                        List<Size> fit = fitting.getOrDefault(lengths(value, dim), List.of());
                        shape.add(fit.isEmpty() ? new Size.Unknown() : fit.getFirst());
                    }
                    types.put(value, new TensorType(type.type(), shape));
                });
        return types;
    }

    private void tellApart() {
        fit();
        for (int runs = 0; runs < MOST_RUNS; runs++) {
            Optional<Map.Entry<String, Long>> next = difference();
            if (next.isEmpty()) {
                return;
            }
            String name = next.get().getKey();
            if (run(with(name, next.get().getValue()))) {
                fit();
            } else {
                steps.merge(name, 2L, (a, b) -> a * b);
            }
        }
        fitting.values().removeIf(sizes -> difference(sizes).isPresent());
    }

    /** Keeps what fits the last sample too. */
    private void fit() {
        Map<List<Long>, List<Size>> before = fitting;
        Map<List<Long>, List<Size>> now = new HashMap<>();
        for (List<Long> lengths : seen()) {
            List<Size> known = before.get(lengths.subList(0, lengths.size() - 1));
            now.put(
                    lengths,
                    known == null || known.stream().allMatch(Size.Fixed.class::isInstance)
                            ? candidates(lengths)
                            : known.stream().filter(size -> fits(size, lengths)).toList());
        }
        fitting = now;
    }

    private Set<List<Long>> seen() {
        Set<List<Long>> seen = new LinkedHashSet<>();
        samples.getFirst()
                .types
                .forEach((value, type) -> {
                    for (int dim = 0; dim < type.shape().size(); dim++) {
                        seen.add(lengths(value, dim));
                    }
                });
        return seen;
    }

    private List<Long> lengths(Value value, int dim) {
        return samples.stream().map(sample -> sample.length(value, dim)).toList();
    }

    private List<Size> candidates(List<Long> lengths) {
        if (lengths.stream().distinct().count() == 1) {
            return List.of(new Size.Fixed(lengths.getFirst()));
        }
        List<Size> atoms = base.keySet().stream().map(name -> (Size) new Size.Free(name)).toList();
        return SizeSearch.candidates(atoms, lengths.getFirst(), atom -> value(atom, base), true)
                .stream()
                .filter(size -> fits(size, lengths))
                .toList();
    }

    private boolean fits(Size size, List<Long> lengths) {
        for (int i = 0; i < lengths.size(); i++) {
            if (value(size, samples.get(i).free) != lengths.get(i)) {
                return false;
            }
        }
        return true;
    }

    private static long value(Size size, Map<String, Long> free) {
        return size.resolve(name -> free.getOrDefault(name, 0L), dim -> 0);
    }

    /** A free dimension and a size of it for which expressions that fit so far differ. */
    private Optional<Map.Entry<String, Long>> difference() {
        return fitting.values().stream()
                .map(this::difference)
                .flatMap(Optional::stream)
                .findFirst();
    }

    private Optional<Map.Entry<String, Long>> difference(List<Size> sizes) {
        Map.@Nullable Entry<String, Long> best = null;
        int most = 0;
        for (String name : sizes.size() < 2 ? Set.<String>of() : base.keySet()) {
            long step = steps.getOrDefault(name, 1L);
            long farthest = step > COARSEST_STEP ? 0 : Math.max(reach(name), 4 * step);
            for (long more = step; more <= farthest; more += step) {
                long changed = base.getOrDefault(name, 0L) + more;
                int out = fewest(sizes, with(name, changed));
                if (out > most) {
                    most = out;
                    best = Map.entry(name, changed);
                }
            }
        }
        return Optional.ofNullable(best);
    }

    /** How many of some expressions are found wrong by these sizes, at least. */
    private static int fewest(List<Size> sizes, Map<String, Long> free) {
        Map<Long, Integer> counts = new HashMap<>();
        sizes.forEach(size -> counts.merge(value(size, free), 1, Integer::sum));
        return sizes.size() - counts.values().stream().mapToInt(i -> i).max().orElse(0);
    }

    private static long reach(String name) {
        return name.equals("batch") ? BATCH_REACH : REACH;
    }

    private Map<String, Long> with(String name, long size) {
        Map<String, Long> changed = new LinkedHashMap<>(base);
        changed.put(name, size);
        return changed;
    }

    private boolean run(Map<String, Long> free) {
        Sample sample = sample(module, free);
        return sample != null && samples.add(sample);
    }

    private static Sample smallest(GraphModule module) {
        Signature signature = module.graph().signature();
        signature.requireKnown();
        for (long size : SIZES) {
            // All different, so that it is seen which of them a length comes from.
            for (long apart : new long[] {1, size}) {
                Map<String, Long> free = new LinkedHashMap<>();
                for (String name : signature.freeNames()) {
                    free.put(name, name.equals("batch") ? 2 : size + free.size() * apart);
                }
                Sample sample = sample(module, free);
                if (sample != null) {
                    return sample;
                }
            }
        }
        throw new EspalierException(
                "The graph runs on none of the sizes tried for "
                        + signature.types().values()
                        + "; give an example: GraphTypes.of(module, example).");
    }

    private static @Nullable Sample sample(GraphModule module, Map<String, Long> free) {
        try (var scope = new PointerScope()) {
            List<Tensor> inputs = module.graph().signature().zeros(free);
            return new Sample(GraphTypes.of(module, inputs.toArray(Tensor[]::new)).types(), free);
        } catch (EspalierException e) { // it takes no such sizes
            return null;
        }
    }
}
