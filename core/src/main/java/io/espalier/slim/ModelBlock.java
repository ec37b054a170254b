package io.espalier.slim;

import io.espalier.graph.Node;
import io.espalier.graph.Value;

import java.util.List;
import java.util.Set;
import java.util.stream.Stream;

/**
 * A branch {@code f} of a sum {@code x + f(x)} of a Java model that may be left out, since {@code
 * x} goes by it and has the shape of the sum, nothing else reads what is computed in it, and
 * modules compute it that another may stand for.
 *
 * @param branch what {@code f(x)} is called
 * @param behind what is computed of that alone, such as its product with a scale, and added
 * @param nodes that compute it from {@code x} and what else they read
 * @param giver the path of the module that gives it
 * @param passed the paths of the modules before that one, of which none holds another
 * @param tensors that only these modules hold
 */
record ModelBlock(
        Value branch,
        Set<Value> behind,
        Set<Node> nodes,
        String giver,
        List<String> passed,
        Set<String> tensors) {
    /** Copies the lists. */
    ModelBlock {
        behind = Set.copyOf(behind);
        nodes = Set.copyOf(nodes);
        passed = List.copyOf(passed);
        tensors = Set.copyOf(tensors);
    }

    /** The paths of all modules in whose places others come, in the model's order. */
    List<String> modules() {
        return Stream.concat(passed.stream(), Stream.of(giver)).toList();
    }

    /** Whether all channels of a group are within it. */
    boolean contains(Group group) {
        return group.units().getFirst().slices().keySet().stream()
                .map(Place::constant)
                .allMatch(tensors::contains);
    }
}
