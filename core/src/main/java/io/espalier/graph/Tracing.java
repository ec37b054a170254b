package io.espalier.graph;

import io.espalier.nn.Hook;
import io.espalier.nn.Module;
import io.espalier.tensor.EspalierException;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Makes a {@link GraphModule} of a model: traces it on the example, finds the constants that it
 * holds, and compares the program with the model on a second input.
 */
final class Tracing {
    private static final String ADVICE =
            ". What depends on the numbers in a tensor can't be part of a graph: put it into a"
                    + " module of its own, which is then called as it is.";

    private final Module model;
    private final Module followed;
    private final List<Tensor> example;

    /**
     * What came of running the model.
     *
     * @param constants what the program reads that the model only holds in fields
     */
    private record Traced(Graph graph, Map<String, Tensor> constants) {}

    Tracing(Module model, List<Tensor> example) {
        this.model = model;
        this.example = example;
        this.followed = model.hasHooks() ? model.alias() : model;
        if (model.hasHooks()) { // they will see the calls of the graph, and are no part of it
            followed.removeHooks(Hook.class);
        }
    }

    GraphModule trace() {
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            Traced traced = traced(example);
            var module = GraphModule.of(traced.graph, model, traced.constants);
            compare(traced, module);
            module.takeHooks(model);
            return module;
        }
    }

    /**
     * Runs again while tensors turn up that nobody made: one that turns up in two runs is held by
     * the model, and so is a constant.
     */
    private Traced traced(List<Tensor> inputs) {
        List<Tensor> constants = new ArrayList<>();
        List<Tensor> before = null;
        while (true) {
            var tracer = new Tracer(followed, constants);
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
                return new Traced(graph, tracer.constants());
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

    private void compare(Traced first, GraphModule module) {
        List<Tensor> other = OtherInputs.otherValues(example);
        List<Tensor> expected = results(followed, other);
        if (expected == null) {
            return; // the model takes no such input
        }
        Graph second;
        try {
            second = traced(other).graph;
        } catch (EspalierException e) {
            throw refused("with other numbers in its input it can't be followed", e);
        }
        Optional<String> difference = GraphComparison.difference(first.graph, second);
        if (difference.isPresent()) {
            throw refused("with other numbers in its input " + difference.get(), null);
        }
        List<Tensor> given = results(module, other);
        if (given == null || !OtherInputs.areClose(expected, given)) {
            List<Tensor> again = results(followed, other);
            if (again != null && OtherInputs.areClose(expected, again)) {
                throw refused(
                        "with other numbers in its input its graph gives another result than it"
                                + " does itself",
                        null);
            }
        }
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
