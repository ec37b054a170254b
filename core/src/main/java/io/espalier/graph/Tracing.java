package io.espalier.graph;

import io.espalier.graph.FreeDimensions.Place;
import io.espalier.nn.Hook;
import io.espalier.nn.Module;
import io.espalier.tensor.EspalierException;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;

/**
 * Makes a {@link GraphModule} of a model: traces it on the example, finds the constants that it
 * holds and how its numbers depend on sizes, and compares the program with the model on inputs of
 * other numbers and other sizes.
 */
final class Tracing {
    private static final String ADVICE =
            ". What depends on the numbers in a tensor can't be part of a graph: put it into a"
                    + " module of its own, which is then called as it is.";

    private final Module model;
    private final Module followed;
    private final List<Tensor> example;
    private final boolean keepsUnused;

    /**
     * What came of running the model.
     *
     * @param constants what the program reads that the model only holds in fields
     * @param shapes those of all values
     */
    private record Traced(
            Graph graph,
            Map<String, Tensor> constants,
            List<Tensor> inputs,
            Map<Value, long[]> shapes,
            List<FollowedCall> followed) {}

    Tracing(Module model, List<Tensor> example) {
        this(model, example, false);
    }

    /**
     * A tracing.
     *
     * @param keepsUnused whether layers stay whose results nobody uses
     */
    Tracing(Module model, List<Tensor> example, boolean keepsUnused) {
        this.model = model;
        this.example = example;
        this.keepsUnused = keepsUnused;
        this.followed = model.hasHooks() ? model.alias() : model;
        if (model.hasHooks()) { // they will see the calls of the graph, and are no part of it
            followed.removeHooks(Hook.class);
        }
    }

    /** With the first dimension free where that can be, and others where numbers depend on them. */
    GraphModule trace() {
        return inScope(() -> {
            Traced first = traced(example);
            Map<String, List<Place>> free = new LinkedHashMap<>();
            List<Place> batch = SizeProbes.batch(example);
            if (!batch.isEmpty()) {
                free.put("batch", batch);
                Optional<GraphModule> both = withOtherBatch(first, free);
                if (both.isPresent()) {
                    return both.get();
                }
                free.clear();
            }
            requireSameWithOtherValues(first);
            List<Traced> runs = new ArrayList<>(List.of(first));
            boolean strict = !tryFree("batch", batch, first, runs, free);
            if (strict || SizeSensitivity.of(general(runs, free).orElse(first.graph))) {
                SizeProbes.others(example, free)
                        .forEach((name, places) -> tryFree(name, places, first, runs, free));
                strict = true;
            }
            return finished(first, runs, free, strict)
                    .orElseGet(() -> module(first, first.graph, Map.of(), true));
        });
    }

    /** With these dimensions free and no others. */
    GraphModule trace(FreeDimensions dimensions) {
        return inScope(() -> {
            Traced first = traced(example);
            requireSameWithOtherValues(first);
            Map<String, List<Place>> free = new LinkedHashMap<>();
            List<Traced> runs = new ArrayList<>(List.of(first));
            dimensions
                    .places(example)
                    .forEach((name, places) -> {
                        if (!tryFree(name, places, first, runs, free)) {
                            throw refused(
                                    "it takes no other size of '"
                                            + name
                                            + "', or computes otherwise there than by products and"
                                            + " sums of the sizes",
                                    null);
                        }
                    });
            return finished(first, runs, free, true)
                    .orElseThrow(() ->
                            refused(
                                    "its graph gives another result than it does itself where "
                                            + free.keySet()
                                            + " are of other sizes",
                                    null));
        });
    }

    /** The modules that were followed. */
    List<FollowedCall> followedCalls() {
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            return traced(example).followed;
        }
    }

    private GraphModule inScope(Supplier<GraphModule> tracing) {
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            GraphModule traced = tracing.get();
            traced.takeHooks(model);
            return traced;
        }
    }

    /**
     * The short way, which is right for most models: other numbers and another batch at once; empty
     * where the program differs, is not a general one, or depends on other sizes.
     */
    private Optional<GraphModule> withOtherBatch(Traced first, Map<String, List<Place>> free) {
        List<Tensor> other = OtherInputs.otherValues(probe(free, SizeProbes.batchSize(example)));
        List<Tensor> expected = results(followed, other);
        if (expected == null || !isLike(first, other, false)) {
            return Optional.empty();
        }
        for (List<Tensor> more : OtherInputs.several(example)) {
            if (!isLike(first, more, true) && results(followed, more) != null) {
                return Optional.empty();
            }
        }
        List<Traced> runs = List.of(first, traced(other));
        return general(runs, free)
                .filter(graph -> !SizeSensitivity.of(graph))
                .map(graph -> module(first, graph, free, false))
                .filter(module -> agrees(module, other, expected));
    }

    private GraphModule module(
            Traced first, Graph graph, Map<String, List<Place>> free, boolean strict) {
        Signature signature = Signature.of(graph.inputs(), example, free, strict);
        return GraphModule.of(graph.withSignature(signature), model, first.constants);
    }

    private List<Tensor> probe(Map<String, List<Place>> free, long size) {
        Map<Place, Long> sizes = new LinkedHashMap<>();
        free.values().forEach(places -> places.forEach(place -> sizes.put(place, size)));
        return SizeProbes.resized(example, sizes);
    }

    /** Takes a dimension as free if the model does the same at other sizes of it. */
    private boolean tryFree(
            String name,
            List<Place> places,
            Traced first,
            List<Traced> runs,
            Map<String, List<Place>> free) {
        if (places.isEmpty() || example.stream().anyMatch(x -> !x.defined() || x.numel() == 0)) {
            return false;
        }
        Place place = places.getFirst();
        List<Traced> more = new ArrayList<>();
        for (long size : SizeProbes.instead(example.get(place.input()).size(place.dim()))) {
            List<Tensor> other = probe(Map.of(name, places), size);
            if (results(followed, other) != null) {
                if (!isLike(first, other, false)) {
                    return false;
                }
                more.add(traced(other));
            }
        }
        free.put(name, places);
        runs.addAll(more);
        if (more.isEmpty() || general(runs, free).isEmpty()) {
            free.remove(name);
            runs.removeAll(more);
            return false;
        }
        return true;
    }

    /** The general program, if it computes what the model does with all free sizes changed. */
    private Optional<GraphModule> finished(
            Traced first, List<Traced> runs, Map<String, List<Place>> free, boolean strict) {
        if (free.isEmpty()) {
            return Optional.of(module(first, first.graph, free, strict));
        }
        Map<Place, Long> sizes = new LinkedHashMap<>();
        free.forEach((name, places) -> {
            Place place = places.getFirst();
            for (Traced run : runs) { // a size that the model is known to take
                long size = run.inputs.get(place.input()).size(place.dim());
                if (size != example.get(place.input()).size(place.dim())) {
                    places.forEach(each -> sizes.put(each, size));
                }
            }
        });
        List<Tensor> all = SizeProbes.resized(example, sizes);
        List<Tensor> expected = results(followed, all);
        if (expected != null && free.size() > 1) {
            if (!isLike(first, all, false)) {
                return Optional.empty();
            }
            runs.add(traced(all));
        }
        return general(runs, free)
                .map(graph -> module(first, graph, free, strict))
                .filter(module -> expected == null || agrees(module, all, expected));
    }

    private Optional<Graph> general(List<Traced> runs, Map<String, List<Place>> free) {
        List<SizeSearch.Run> all = new ArrayList<>();
        for (Traced run : runs) {
            Map<String, Long> sizes = new LinkedHashMap<>();
            free.forEach((name, places) -> {
                Place place = places.getFirst();
                sizes.put(name, run.inputs.get(place.input()).size(place.dim()));
            });
            all.add(new SizeSearch.Run(run.graph, run.shapes, sizes));
        }
        return new SizeSearch(all).generalized();
    }

    private boolean isLike(Traced first, List<Tensor> other, boolean exact) {
        try {
            return GraphComparison.difference(first.graph, traced(other).graph, exact).isEmpty();
        } catch (RuntimeException e) { // it can be followed on one input and not on the other
            return false;
        }
    }

    private void requireSameWithOtherValues(Traced first) {
        requireSame(first, example, "when it is called again");
        for (List<Tensor> other : OtherInputs.several(example)) {
            requireSame(first, other, "with other numbers in its input");
        }
    }

    private void requireSame(Traced first, List<Tensor> inputs, String when) {
        List<Tensor> expected = results(followed, inputs);
        if (expected == null) {
            return; // the model takes no such input
        }
        Graph second;
        try {
            second = traced(inputs).graph;
        } catch (EspalierException e) {
            throw refused(when + " it can't be followed", e);
        }
        GraphComparison.difference(first.graph, second, true)
                .ifPresent(difference -> {
                    throw refused(when + " " + difference, null);
                });
        if (!agrees(module(first, first.graph, Map.of(), false), inputs, expected)) {
            throw refused(when + " its graph gives another result than it does itself", null);
        }
    }

    /** Whether a program gives what the model gave; a model of chance agrees with anything. */
    private boolean agrees(GraphModule module, List<Tensor> inputs, List<Tensor> expected) {
        List<Tensor> given = results(module, inputs);
        if (given != null && OtherInputs.areClose(expected, given)) {
            return true;
        }
        List<Tensor> again = results(followed, inputs);
        return again != null && !OtherInputs.areClose(expected, again);
    }

    /**
     * Runs again while tensors turn up that nobody made: one that turns up in two runs is held by
     * the model, and so is a constant.
     */
    private Traced traced(List<Tensor> inputs) {
        List<Tensor> constants = new ArrayList<>();
        List<Tensor> before = null;
        while (true) {
            var tracer = new Tracer(followed, constants, keepsUnused);
            Graph graph = null;
            EspalierException refusal = null;
            try {
                graph = tracer.trace(copies(inputs));
            } catch (EspalierException e) {
                refusal = e;
            }
            List<Tensor> strangers = tracer.strangers();
            List<Tensor> held = before == null ? List.of() : inBoth(before, strangers);
            if (held.isEmpty() && (before != null || strangers.isEmpty())) {
                if (graph == null) {
                    throw refusal == null ? new EspalierException("No graph.") : refusal;
                }
                return new Traced(
                        graph, tracer.constants(), inputs, tracer.shapes(), tracer.followed());
            }
            constants.addAll(held);
            before = strangers;
        }
    }

    private static List<Tensor> inBoth(List<Tensor> before, List<Tensor> now) {
        return now.stream()
                .filter(tensor -> before.stream().anyMatch(earlier -> earlier.is_same(tensor)))
                .toList();
    }

    private static List<Tensor> copies(List<Tensor> inputs) {
        return inputs.stream()
                .map(input -> input.defined() ? input.detach().clone() : input)
                .toList();
    }

    private static @Nullable List<Tensor> results(Module model, List<Tensor> inputs) {
        try {
            return model.callAll(copies(inputs));
        } catch (RuntimeException e) { // whatever a model's own code throws on numbers it can't use
            return null;
        }
    }

    private EspalierException refused(String why, @Nullable EspalierException cause) {
        String message = "Can't trace " + model.getClass().getSimpleName() + ": " + why + ADVICE;
        return cause == null
                ? new EspalierException(message)
                : new EspalierException(message, cause);
    }
}
