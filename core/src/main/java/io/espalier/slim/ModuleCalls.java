package io.espalier.slim;

import io.espalier.graph.FollowedCall;
import io.espalier.graph.Graph;
import io.espalier.graph.Node;
import io.espalier.graph.Node.ModuleCall;
import io.espalier.graph.Value;
import io.espalier.nn.Identity;
import io.espalier.nn.Module;

import org.bytedeco.pytorch.Tensor;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** The calls of a model's modules in its program, be they steps of it or followed. */
final class ModuleCalls {
    private final Module model;
    private final Map<String, List<FollowedCall>> byPath = new LinkedHashMap<>();

    ModuleCalls(ModelAnalysis analysis, List<Tensor> example) {
        model = analysis.model();
        Graph graph = analysis.traced().graph();
        Set<Value> known = new HashSet<>(graph.inputs());
        graph.nodes().forEach(node -> known.addAll(node.results()));
        try (var trial = new Trial(model)) {
            for (FollowedCall call : FollowedCall.of(model, example)) {
                Set<Value> within = new HashSet<>(call.within());
                within.retainAll(known);
                note(new FollowedCall(call.path(), call.results(), within));
            }
        }
        for (Node node : graph.nodes()) {
            if (node instanceof ModuleCall call) {
                note(new FollowedCall(call.path(), call.results(), Set.copyOf(call.results())));
            }
        }
    }

    private void note(FollowedCall call) {
        byPath.computeIfAbsent(call.path(), k -> new ArrayList<>()).add(call);
    }

    private List<FollowedCall> of(String path) {
        return byPath.getOrDefault(path, List.of());
    }

    /** What is computed in a module. */
    Set<Value> computedIn(String path) {
        Set<Value> all = new HashSet<>();
        of(path).forEach(call -> all.addAll(call.within()));
        return all;
    }

    /** Whether a module computes and gives some values and nothing else. */
    private boolean isWithin(String path, Set<Value> values) {
        return of(path).stream()
                .allMatch(call ->
                        values.containsAll(call.results()) && values.containsAll(call.within()));
    }

    /** The outermost module that gives a value first and computes these and nothing else. */
    Optional<String> giver(Value value, Set<Value> values) {
        return byPath.keySet().stream()
                .filter(path -> of(path).size() == 1)
                .filter(path -> of(path).getFirst().results().indexOf(value) == 0)
                .filter(path -> isWithin(path, values))
                .max(Comparator.comparingInt(path -> computedIn(path).size()));
    }

    /** The outermost other modules that compute these values and nothing else. */
    List<String> within(Set<Value> values, String giver) {
        List<String> within = new ArrayList<>();
        for (Map.Entry<String, Module> each : model.namedModules().entrySet()) {
            String path = each.getKey();
            boolean isCovered =
                    isBelow(path, giver)
                            || isBelow(giver, path)
                            || within.stream().anyMatch(outer -> isBelow(path, outer));
            if (!isCovered
                    && !of(path).isEmpty()
                    && isWithin(path, values)
                    && !(each.getValue() instanceof Identity)) {
                within.add(path);
            }
        }
        return within;
    }

    /** Whether a path is that of a module or of one below it. */
    private static boolean isBelow(String path, String module) {
        return path.equals(module) || path.startsWith(module + ".");
    }
}
