package io.espalier.graph;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;

/** One step of a {@link Graph}. */
public sealed interface Node {
    /** The values that the step computes. */
    List<Value> results();

    /** The values that it computes them from, in the order of its arguments. */
    List<Value> inputs();

    /** The path of the module that the step calls or takes a tensor from; functions have none. */
    default Optional<String> modulePath() {
        return switch (this) {
            case ModuleCall call -> Optional.of(call.path());
            case Attribute attribute -> Optional.of(attribute.owner());
            case FunctionCall call -> Optional.empty();
        };
    }

    /** The same step on other values. */
    Node withInputs(UnaryOperator<Value> replacement);

    /** The one value that the step computes; the first of several. */
    default Value result() {
        return results().getFirst();
    }

    /**
     * A call of a module.
     *
     * @param path the module's dotted path
     */
    record ModuleCall(String path, List<Value> inputs, List<Value> results) implements Node {
        /** Copies the lists. */
        public ModuleCall {
            inputs = List.copyOf(inputs);
            results = List.copyOf(results);
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
            return left(results) + " = self." + path + arguments(inputs);
        }
    }

    /**
     * A call of one of libtorch's operators.
     *
     * @param operator its name with its overload, such as {@code "aten::add.Tensor"}
     * @param arguments in the order of its schema: {@link Value}, a list of values, or a constant
     *     (number, boolean, text, list of numbers, null)
     */
    record FunctionCall(String operator, List<@Nullable Object> arguments, Value result)
            implements Node {
        /** Copies the list. */
        public FunctionCall {
            arguments = Collections.unmodifiableList(new ArrayList<>(arguments));
        }

        @Override
        public List<Value> results() {
            return List.of(result);
        }

        @Override
        public List<Value> inputs() {
            List<Value> inputs = new ArrayList<>();
            for (Object argument : arguments) {
                switch (argument) {
                    case Value value -> inputs.add(value);
                    case List<?> list ->
                            list.stream()
                                    .filter(Value.class::isInstance)
                                    .forEach(value -> inputs.add((Value) value));
                    case null, default -> {}
                }
            }
            return inputs;
        }

        @Override
        public FunctionCall withInputs(UnaryOperator<Value> replacement) {
            List<@Nullable Object> replaced = new ArrayList<>();
            for (Object argument : arguments) {
                replaced.add(replaced(argument, replacement));
            }
            return new FunctionCall(operator, replaced, result);
        }

        private static @Nullable Object replaced(
                @Nullable Object argument, UnaryOperator<Value> replacement) {
            return switch (argument) {
                case Value value -> replacement.apply(value);
                case List<?> list ->
                        list.stream()
                                .map(element ->
                                        element instanceof Value value
                                                ? replacement.apply(value)
                                                : element)
                                .toList();
                case null, default -> argument;
            };
        }

        /** The operator without namespace and overload: {@code "add"}. */
        public String function() {
            String name = operator.substring(operator.indexOf("::") + 2);
            int dot = name.indexOf('.');
            return dot < 0 ? name : name.substring(0, dot);
        }

        @Override
        public String toString() {
            return result + " = " + function() + Node.arguments(arguments);
        }
    }

    /**
     * A parameter or buffer of the model.
     *
     * @param owner the dotted path of the module that it belongs to
     * @param name its name there
     */
    record Attribute(String owner, String name, Value result) implements Node {
        @Override
        public List<Value> results() {
            return List.of(result);
        }

        @Override
        public List<Value> inputs() {
            return List.of();
        }

        @Override
        public Attribute withInputs(UnaryOperator<Value> replacement) {
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

    private static String arguments(List<?> arguments) {
        return arguments.stream().map(Node::text).collect(Collectors.joining(", ", "(", ")"));
    }

    private static String text(@Nullable Object argument) {
        return switch (argument) {
            case long[] numbers -> Arrays.toString(numbers);
            case double[] numbers -> Arrays.toString(numbers);
            case String string -> '"' + string + '"';
            case null, default -> String.valueOf(argument);
        };
    }
}
