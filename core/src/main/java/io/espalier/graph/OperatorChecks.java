package io.espalier.graph;

import io.espalier.graph.Argument.Arity;
import io.espalier.graph.Argument.Attribute;
import io.espalier.graph.Argument.Operand;
import io.espalier.tensor.EspalierException;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.SequencedMap;

/** Brings what a call is made of into its one form, or says what is wrong with it. */
final class OperatorChecks {
    private OperatorChecks() {}

    /** One place for each operand that the operator has; empty places at the end are left out. */
    static List<@Nullable Value> operands(
            GraphOperator operator, List<? extends @Nullable Value> given) {
        List<@Nullable Value> operands = new ArrayList<>(given);
        if (operator.takesList()) {
            if (operands.isEmpty() || operands.contains(null)) {
                throw new EspalierException(
                        operator + " takes one tensor or more; it was given " + given + ".");
            }
            return Collections.unmodifiableList(operands);
        }
        while (!operands.isEmpty() && operands.getLast() == null) {
            operands.removeLast();
        }
        List<Operand> places = operator.operands();
        for (int i = 0; i < Math.max(places.size(), operands.size()); i++) {
            boolean missing = i >= operands.size() || operands.get(i) == null;
            if (i >= places.size() || (missing && places.get(i).arity() == Arity.ONE)) {
                throw new EspalierException(
                        operator + " takes " + names(places) + "; it was given " + operands + ".");
            }
        }
        return Collections.unmodifiableList(operands);
    }

    private static String names(List<Operand> places) {
        List<String> names = new ArrayList<>();
        for (Operand place : places) {
            names.add(place.name() + (place.arity() == Arity.OPTIONAL ? "?" : ""));
        }
        return String.join(", ", names);
    }

    /** In the operator's order, without those that have their standard value. */
    static SequencedMap<String, Object> attributes(GraphOperator operator, Map<String, ?> given) {
        given.keySet().forEach(operator::attribute);
        SequencedMap<String, Object> attributes = new LinkedHashMap<>();
        for (Attribute attribute : operator.attributes()) {
            Object value = given.get(attribute.name());
            if (value == null) {
                if (attribute.required()) {
                    throw new EspalierException(
                            operator + " needs its attribute '" + attribute.name() + "'.");
                }
                continue;
            }
            Object converted = attribute.type().convert(value);
            if (converted == null) {
                throw new EspalierException(
                        operator
                                + " takes "
                                + attribute.type()
                                + " as its attribute '"
                                + attribute.name()
                                + "'; it was given "
                                + value
                                + ".");
            }
            if (!Objects.equals(converted, attribute.standard())) {
                attributes.put(attribute.name(), converted);
            }
        }
        return Collections.unmodifiableSequencedMap(attributes);
    }

    static void requireResults(GraphOperator operator, List<Value> results) {
        int number = operator.results().orElse(Math.max(1, results.size()));
        if (results.size() != number) {
            throw new EspalierException(
                    operator + " has " + number + " results; the graph names " + results + ".");
        }
    }
}
