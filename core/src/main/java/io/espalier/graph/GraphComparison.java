package io.espalier.graph;

import java.util.List;
import java.util.Optional;

/** Whether two runs of a model are the same program. */
final class GraphComparison {
    private GraphComparison() {}

    /** What the second does otherwise, as the end of a sentence. */
    static Optional<String> difference(Graph first, Graph second) {
        List<Node> a = first.nodes();
        List<Node> b = second.nodes();
        for (int i = 0; i < Math.min(a.size(), b.size()); i++) {
            if (!a.get(i).equals(b.get(i))) {
                return Optional.of(
                        "it computes '" + b.get(i) + "' where it computed '" + a.get(i) + "'");
            }
        }
        if (a.size() != b.size()) {
            return Optional.of(
                    a.size() < b.size()
                            ? "it computes '" + b.get(a.size()) + "' besides"
                            : "it does not compute '" + a.get(b.size()) + "'");
        }
        return first.outputs().equals(second.outputs())
                ? Optional.empty()
                : Optional.of(
                        "it returns " + second.outputs() + " where it returned " + first.outputs());
    }
}
