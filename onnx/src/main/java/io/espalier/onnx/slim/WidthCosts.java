package io.espalier.onnx.slim;

import io.espalier.onnx.slim.Remainders.Remainder;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.DoubleUnaryOperator;

/** What a model costs whose groups have some widths: a sum over its parts. */
final class WidthCosts {
    private final List<List<Term>> byGroup = new ArrayList<>();
    private final List<Term> terms = new ArrayList<>();
    private double fixed;

    /**
     * A part of the model.
     *
     * @param cost of a share of its work, which is 1 if nothing is gone
     * @param factors of its work
     */
    private record Term(DoubleUnaryOperator cost, List<Remainder> factors) {
        double at(int[] widths) {
            double share = 1;
            for (Remainder factor : factors) {
                share *= factor.at(widths);
            }
            return cost.applyAsDouble(share);
        }
    }

    WidthCosts(int groups) {
        for (int group = 0; group < groups; group++) {
            byGroup.add(new ArrayList<>());
        }
    }

    /** Adds what costs as much at any width. */
    void addFixed(double cost) {
        fixed += cost;
    }

    /** Adds a part. */
    void add(DoubleUnaryOperator cost, List<Remainder> factors) {
        if (factors.isEmpty()) {
            addFixed(cost.applyAsDouble(1));
            return;
        }
        var term = new Term(cost, factors);
        terms.add(term);
        Set<Integer> groups = new TreeSet<>();
        factors.forEach(factor -> groups.addAll(factor.lost().keySet()));
        groups.forEach(group -> byGroup.get(group).add(term));
    }

    /** The cost of the whole model. */
    double of(int[] widths) {
        double sum = fixed;
        for (Term term : terms) {
            sum += term.at(widths);
        }
        return sum;
    }

    /** The cost of all parts that a group has to do with. */
    double of(int group, int[] widths) {
        double sum = 0;
        for (Term term : byGroup.get(group)) {
            sum += term.at(widths);
        }
        return sum;
    }

    /** The cost of all parts that a group has to do with, if it had another width. */
    double of(int group, int width, int[] widths) {
        int before = widths[group];
        widths[group] = width;
        double cost = of(group, widths);
        widths[group] = before;
        return cost;
    }
}
