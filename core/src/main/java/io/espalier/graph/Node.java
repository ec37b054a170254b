package io.espalier.graph;

import io.espalier.graph.Argument.Attribute;
import io.espalier.graph.Argument.Operand;
import io.espalier.tensor.EspalierException;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;

/** One step of a {@link Graph}. */
public sealed interface Node {
    /** The values that the step computes. */
    List<Value> results();

    /** The values that it computes them from, in the order of its operands. */
    List<Value> inputs();

    /** The path of the module that the step calls or takes a tensor from; operators have none. */
    default Optional<String> modulePath() {
        return switch (this) {
            case ModuleCall call -> Optional.of(call.path());
            case StateRead read -> Optional.of(read.owner());
            case OperatorCall call -> Optional.empty();
        };
    }

    /** The same step on other values. */
    Node withInputs(UnaryOperator<Value> replacement);

    /** The one value that the step computes; the first of several. */
    default Value result() {
        return results().getFirst();
    }

    /** Whether this is a call of an operator. */
    default boolean calls(GraphOperator operator) {
        return this instanceof OperatorCall call && call.operator() == operator;
    }

    /**
     * A call of a module.
     *
     * @param path the module's dotted path
     */
    record ModuleCall(String path, List<Value> inputs, List<Value> results) implements Node {
        /**
         * Copies the lists.
         *
         * @throws EspalierException if the path is empty: a graph can't call itself
         */
        public ModuleCall {
            inputs = List.copyOf(inputs);
            results = List.copyOf(results);
            if (path.isEmpty() || results.isEmpty()) {
                throw new EspalierException(
                        "A call of a module needs its path and results; it has '"
                                + path
                                + "' and "
                                + results
                                + ".");
            }
        }

        /** A call with one result. */
        public ModuleCall(String path, List<Value> inputs, Value result) {
            this(path, inputs, List.of(result));
        }

        @Override
        public ModuleCall withInputs(UnaryOperator<Value> replacement) {
            return new ModuleCall(path, inputs.stream().map(replacement).toList(), results);
        }

        @Override
        public String toString() {
            return left(results)
                    + " = self."
                    + path
                    + inputs.stream().map(Value::name).collect(Collectors.joining(", ", "(", ")"));
        }
    }

    /**
     * A call of an operator.
     *
     * @param operands one for each operand that the operator has, {@code null} where an optional
     *     one is not given; later ones may be left out
     * @param attributes by name: {@code Long}, {@code Double}, {@code Boolean}, {@code String} or a
     *     list of numbers, as {@link AttributeType} says; those that have their standard value are
     *     left out
     */
    record OperatorCall(
            GraphOperator operator,
            List<@Nullable Value> operands,
            Map<String, Object> attributes,
            List<Value> results)
            implements Node {
        /**
         * Copies and checks.
         *
         * @throws EspalierException if there are other operands, attributes or results than the
         *     operator has
         */
        public OperatorCall {
            operands = OperatorChecks.operands(operator, operands);
            attributes = OperatorChecks.attributes(operator, attributes);
            results = List.copyOf(results);
            OperatorChecks.requireResults(operator, results);
        }

        /** A call with one result. */
        public OperatorCall(
                GraphOperator operator,
                List<? extends @Nullable Value> operands,
                Map<String, Object> attributes,
                Value result) {
            this(operator, new ArrayList<>(operands), attributes, List.of(result));
        }

        /** A call with one operand and one result, and nothing else. */
        public OperatorCall(GraphOperator operator, Value operand, Value result) {
            this(operator, List.of(operand), Map.of(), result);
        }

        @Override
        public List<Value> inputs() {
            return operands.stream().filter(Objects::nonNull).map(Value.class::cast).toList();
        }

        /**
         * The operand of a name, if it is given.
         *
         * @throws EspalierException if the operator has none of this name
         */
        public Optional<Value> operand(String name) {
            List<Operand> places = operator.operands();
            for (int i = 0; i < places.size(); i++) {
                if (places.get(i).name().equals(name)) {
                    return Optional.ofNullable(i < operands.size() ? operands.get(i) : null);
                }
            }
            throw new EspalierException(operator + " has no operand '" + name + "'.");
        }

        /** The attribute of a name, given or standard; empty where it is neither. */
        public Optional<Object> attribute(String name) {
            Attribute attribute = operator.attribute(name);
            return Optional.ofNullable(attributes.getOrDefault(name, attribute.standard()));
        }

        /**
         * An attribute of type LONG.
         *
         * @throws EspalierException if it depends on the sizes of the graph's inputs
         */
        public long integer(String name) {
            return requireFixed(name, attribute(name).orElseThrow());
        }

        private long requireFixed(String name, Object value) {
            if (value instanceof Long number) {
                return number;
            }
            throw new EspalierException(
                    "The attribute '" + name + "' of '" + this + "' depends on sizes.");
        }

        /** An attribute of type DOUBLE. */
        public double number(String name) {
            return (Double) attribute(name).orElseThrow();
        }

        /** An attribute of type BOOLEAN. */
        public boolean flag(String name) {
            return (Boolean) attribute(name).orElseThrow();
        }

        /** An attribute of type TEXT. */
        public String text(String name) {
            return (String) attribute(name).orElseThrow();
        }

        /**
         * An attribute of type LONGS.
         *
         * @throws EspalierException if one depends on the sizes of the graph's inputs
         */
        public List<Long> integers(String name) {
            return ((List<?>) attribute(name).orElseThrow())
                    .stream().map(value -> requireFixed(name, value)).toList();
        }

        /** Whether an attribute depends on the sizes of the graph's inputs. */
        public boolean dependsOnSizes() {
            return attributes.values().stream()
                    .anyMatch(value ->
                            value instanceof Size
                                    || (value instanceof List<?> list
                                            && list.stream().anyMatch(Size.class::isInstance)));
        }

        @Override
        public OperatorCall withInputs(UnaryOperator<Value> replacement) {
            List<@Nullable Value> replaced = new ArrayList<>();
            for (Value operand : operands) {
                replaced.add(operand == null ? null : replacement.apply(operand));
            }
            return new OperatorCall(operator, replaced, attributes, results);
        }

        @Override
        public String toString() {
            return left(results) + " = " + operator + arguments();
        }

        private String arguments() {
            List<String> parts = new ArrayList<>();
            boolean inOrder = true;
            for (int i = 0; i < operands.size(); i++) {
                Value operand = operands.get(i);
                if (operand == null) {
                    inOrder = false;
                } else {
                    String name = inOrder ? "" : operator.operands().get(i).name() + "=";
                    parts.add(name + operand);
                }
            }
            attributes.forEach((name, value) ->
                    parts.add(name + "=" + (value instanceof String s ? '"' + s + '"' : value)));
            return "(" + String.join(", ", parts) + ")";
        }
    }

    /**
     * A parameter or buffer of the model, as its owner's code sees it: after its masks.
     *
     * @param owner the dotted path of the module that it belongs to; empty for the model itself
     * @param name its name there
     */
    record StateRead(String owner, String name, Value result) implements Node {
        @Override
        public List<Value> results() {
            return List.of(result);
        }

        @Override
        public List<Value> inputs() {
            return List.of();
        }

        @Override
        public StateRead withInputs(UnaryOperator<Value> replacement) {
            return this;
        }

        @Override
        public String toString() {
            return result + " = self." + (owner.isEmpty() ? name : owner + "." + name);
        }
    }

    private static String left(List<Value> results) {
        return results.stream().map(Value::name).collect(Collectors.joining(", "));
    }
}
