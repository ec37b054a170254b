package io.espalier.graph;

import io.espalier.tensor.Internal;
import io.espalier.tensor.Needed;

import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;

/** Gives values names that are unique in their graph. */
@Internal
public final class Names {
    private final Set<String> taken = new HashSet<>();

    /** The number to try next for names that were taken: all below it are, too. */
    private final Map<String, Integer> next = new HashMap<>();

    /** The names that a graph has not used yet. */
    public static Names beside(Graph graph) {
        var names = new Names();
        graph.inputs().forEach(input -> names.taken.add(input.name()));
        graph.nodes()
                .forEach(node -> node.results().forEach(result -> names.taken.add(result.name())));
        return names;
    }

    /** A new value: {@code wanted}, with a number if that is taken; dots become underscores. */
    public Value fresh(String wanted) {
        String base = Needed.of(wanted, "a name in the graph").replace('.', '_');
        String name = base;
        while (!taken.add(name)) {
            name = base + "_" + next.merge(base, 1, Integer::sum);
        }
        return new Value(name);
    }
}
