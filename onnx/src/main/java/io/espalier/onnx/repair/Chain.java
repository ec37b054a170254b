package io.espalier.onnx.repair;

import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxNode;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.List;
import java.util.OptionalDouble;

/**
 * A value times numbers and at most one other value, as multiplications and divisions one after the
 * other make it.
 *
 * @param node what makes the product
 * @param factor all numbers together
 * @param other the other value; null if there is none so far
 */
record Chain(OnnxNode node, double factor, @Nullable String other) {
    private static final int LONGEST = 4;

    /** The products that begin at a value, shortest first; nobody else reads what lies between. */
    static List<Chain> from(OnnxGraph graph, String start) {
        var chains = new ArrayList<Chain>();
        String value = start;
        double factor = 1;
        String other = null;
        while (chains.size() < LONGEST) {
            OnnxNode reader = graph.onlyReader(value);
            if (reader == null || !isProduct(reader, value)) {
                break;
            }
            String operand = Constants.other(reader, value);
            OptionalDouble number = Constants.number(graph, operand);
            if (number.isPresent()) {
                double by = number.getAsDouble();
                factor *= reader.is("Div") ? 1 / by : by;
            } else if (reader.is("Mul") && other == null) {
                other = operand;
            } else {
                break;
            }
            chains.add(new Chain(reader, factor, other));
            value = reader.output();
        }
        return chains;
    }

    private static boolean isProduct(OnnxNode node, String value) {
        boolean once = node.inputs().size() == 2 && !node.input(0).equals(node.input(1));
        return once && (node.is("Mul") || (node.is("Div") && node.input(0).equals(value)));
    }

    /** The values that the other one may be a multiple of: itself, and what it is made of. */
    List<String> candidates(OnnxGraph graph) {
        if (other == null) {
            return List.of();
        }
        OnnxNode maker = graph.producer(other);
        if (maker != null && (maker.is("Mul") || maker.is("Div")) && maker.inputs().size() == 2) {
            return List.of(other, maker.input(0), maker.input(1));
        }
        return List.of(other);
    }

    /** The number before {@code x} where the other value is a multiple of it, else 0. */
    double factorOf(OnnxGraph graph, String x) {
        Polynomial multiple = other == null ? null : Polynomial.of(graph, other, x);
        return multiple == null ? 0 : factor * multiple.factor();
    }
}
