package io.espalier.graph;

import io.espalier.graph.Node.OperatorCall;

import org.jspecify.annotations.Nullable;

import java.util.List;
import java.util.Objects;
import java.util.Optional;

/** Whether two runs of a model are the same program. */
final class GraphComparison {
    private GraphComparison() {}

    /**
     * What the second does otherwise, as the end of a sentence.
     *
     * @param exact whether whole numbers among the attributes count too
     */
    static Optional<String> difference(Graph first, Graph second, boolean exact) {
        List<Node> a = first.nodes();
        List<Node> b = second.nodes();
        for (int i = 0; i < Math.min(a.size(), b.size()); i++) {
            if (!(exact ? a.get(i).equals(b.get(i)) : isLike(a.get(i), b.get(i)))) {
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

    /** Whether two nodes are the same but for whole numbers. */
    private static boolean isLike(Node a, Node b) {
        return (a instanceof OperatorCall one && b instanceof OperatorCall other)
                ? one.operator() == other.operator()
                        && one.operands().equals(other.operands())
                        && one.results().equals(other.results())
                        && one.attributes().keySet().equals(other.attributes().keySet())
                        && one.attributes().keySet().stream()
                                .allMatch(name ->
                                        isLike(
                                                one.attributes().get(name),
                                                other.attributes().get(name)))
                : a.equals(b);
    }

    private static boolean isLike(@Nullable Object a, @Nullable Object b) {
        if (a instanceof List<?> one && b instanceof List<?> other) {
            return one.size() == other.size()
                    && (one.equals(other) || one.stream().allMatch(Long.class::isInstance));
        }
        return Objects.equals(a, b) || (a instanceof Long && b instanceof Long);
    }
}
