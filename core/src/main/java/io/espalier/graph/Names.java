package io.espalier.graph;

import io.espalier.tensor.Internal;
import io.espalier.tensor.Needed;

import java.util.HashSet;
import java.util.Set;

/** Gives values names that are unique in their graph. */
@Internal
public final class Names {
    private final Set<String> taken = new HashSet<>();

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
        for (int i = 1; !taken.add(name); i++) {
            name = base + "_" + i;
        }
        return new Value(name);
    }
}
