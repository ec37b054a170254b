package io.espalier.graph;

import io.espalier.graph.Argument.Arity;
import io.espalier.graph.Argument.Attribute;
import io.espalier.graph.Argument.Fixed;
import io.espalier.graph.Argument.Operand;
import io.espalier.graph.Node.OperatorCall;
import io.espalier.tensor.BoundOperator;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Operator;
import io.espalier.tensor.Operators;
import io.espalier.tensor.QuantizedMaxPool;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Function;
import java.util.function.ToLongFunction;
import java.util.stream.Collectors;

/**
 * Between a graph's operators and libtorch's: what was recorded of a call there becomes a call
 * here, and a call here is made ready to be run there.
 */
final class LibtorchBinding {
    static final Map<String, GraphOperator> BY_NAME =
            Arrays.stream(GraphOperator.values())
                    .collect(Collectors.toMap(GraphOperator::libtorch, Function.identity()));

    private static final int MOST_SIZES = 16;

    private LibtorchBinding() {}

    /**
     * The call that was recorded.
     *
     * @param name libtorch's operator with its overload
     * @param arguments in its schema's order: tensors as values, and constants; later ones may be
     *     left out
     * @throws EspalierException if no operator of a graph is this one, or takes such arguments
     */
    static OperatorCall recorded(
            String name, List<? extends @Nullable Object> arguments, List<Value> results) {
        GraphOperator operator =
                GraphOperator.ofLibtorch(name)
                        .orElseThrow(() ->
                                new EspalierException(
                                        "A graph has no operator for libtorch's " + name + "."));
        List<Argument> schema = operator.arguments();
        if (arguments.size() > schema.size()) {
            throw new EspalierException(
                    operator
                            + " takes "
                            + schema.size()
                            + " arguments; "
                            + arguments.size()
                            + " were recorded.");
        }
        List<@Nullable Value> operands = new ArrayList<>();
        Map<String, Object> attributes = new LinkedHashMap<>();
        for (int i = 0; i < arguments.size(); i++) {
            Object argument = arguments.get(i);
            switch (schema.get(i)) {
                case Operand operand when operand.arity() == Arity.LIST ->
                        ((List<?>) Objects.requireNonNull(argument))
                                .forEach(element -> operands.add((Value) element));
                case Operand operand -> operands.add((Value) argument);
                case Attribute attribute -> {
                    if (argument != null) {
                        attributes.put(attribute.name(), argument);
                    }
                }
                case Fixed fixed -> requireFixed(operator, fixed, argument);
            }
        }
        return new OperatorCall(operator, operands, attributes, results);
    }

    private static void requireFixed(
            GraphOperator operator, Fixed fixed, @Nullable Object argument) {
        if (!fixed.value().equals(argument)) {
            throw new EspalierException(
                    "A graph calls "
                            + operator
                            + " with "
                            + fixed.value()
                            + " where "
                            + argument
                            + " was recorded.");
        }
    }

    /** A call made ready: what it computes of its operands, those that are there in their order. */
    static Kernel kernel(OperatorCall call) {
        Operator operator = Operators.find(call.operator().libtorch());
        if (call.operator().takesList() || call.results().size() != 1 || givesList(call)) {
            return unbound(call, operator);
        }
        if (call.dependsOnSizes()) {
            return boundBySizes(call, operator);
        }
        BoundOperator bound =
                operator.bind(
                        arguments(call, value -> Operator.TENSOR, LibtorchBinding::fixed)
                                .toArray());
        return call.calls(GraphOperator.MAX_POOL2D)
                ? pooling(call, bound)
                : (free, tensors) -> List.of(bound.call(tensors));
    }

    private static Kernel pooling(OperatorCall call, BoundOperator libtorchs) {
        var quantized =
                new QuantizedMaxPool(
                        numbers(call, "kernel_size"),
                        numbers(call, "stride"),
                        numbers(call, "padding"),
                        numbers(call, "dilation"),
                        call.flag("ceil_mode"));
        return (free, tensors) -> {
            Tensor found = quantized.of(tensors[0]);
            return List.of(found == null ? libtorchs.call(tensors) : found);
        };
    }

    private static long[] numbers(OperatorCall call, String attribute) {
        return call.integers(attribute).stream().mapToLong(Long::longValue).toArray();
    }

    /** A call with its constants made ready. */
    interface Kernel {
        /**
         * Computes.
         *
         * @param free the sizes of the graph's free dimensions
         */
        List<Tensor> call(Map<String, Long> free, Tensor... tensors);
    }

    private static boolean givesList(OperatorCall call) {
        return call.operator().results().isEmpty();
    }

    /** Bound once for all calls of the same sizes, of which few are remembered. */
    private static Kernel boundBySizes(OperatorCall call, Operator operator) {
        Map<List<@Nullable Object>, BoundOperator> known = new ConcurrentHashMap<>();
        return (free, tensors) -> {
            List<@Nullable Object> arguments =
                    arguments(call, value -> Operator.TENSOR, size -> resolve(size, free, tensors));
            BoundOperator bound = known.get(arguments);
            if (bound == null) {
                if (known.size() >= MOST_SIZES) {
                    known.clear();
                }
                bound = operator.bind(arguments.toArray());
                known.put(arguments, bound);
            }
            return List.of(bound.call(tensors));
        };
    }

    private static long resolve(Size size, Map<String, Long> free, Tensor... tensors) {
        return size.resolve(name -> sizeOf(name, free), dim -> length(tensors[0], dim));
    }

    private static Kernel unbound(OperatorCall call, Operator operator) {
        return (free, tensors) -> {
            List<Object> results = operator.call(arguments(call, free, tensors).toArray());
            List<?> all = givesList(call) ? (List<?>) results.getFirst() : results;
            return all.stream().map(Tensor.class::cast).toList();
        };
    }

    /** What libtorch's operator is called with on these tensors. */
    static List<@Nullable Object> arguments(
            OperatorCall call, Map<String, Long> free, Tensor... tensors) {
        int[] next = {0};
        return arguments(call, value -> tensors[next[0]++], size -> resolve(size, free, tensors));
    }

    private static long fixed(Size size) {
        throw new IllegalStateException("not fixed: " + size);
    }

    private static long sizeOf(String name, Map<String, Long> free) {
        Long size = free.get(name);
        if (size == null) {
            throw new EspalierException("A graph uses '" + name + "', which no input has.");
        }
        return size;
    }

    private static long length(Tensor operand, int dim) {
        if (dim >= operand.dim()) {
            throw new EspalierException(
                    "A graph uses dimension "
                            + dim
                            + " of a tensor of shape "
                            + Arrays.toString(Tensors.shape(operand))
                            + ".");
        }
        return operand.size(dim);
    }

    private static @Nullable Object resolved(@Nullable Object value, ToLongFunction<Size> sizes) {
        return switch (value) {
            case Size size -> sizes.applyAsLong(size);
            case List<?> list -> list.stream().map(element -> resolved(element, sizes)).toList();
            case null, default -> value;
        };
    }

    /** All that libtorch's operator takes, with something in the place of each operand. */
    private static List<@Nullable Object> arguments(
            OperatorCall call, Function<Value, Object> operand, ToLongFunction<Size> sizes) {
        List<@Nullable Object> all = new ArrayList<>();
        int next = 0;
        for (Argument argument : call.operator().arguments()) {
            switch (argument) {
                case Operand(String name, Arity arity) when arity == Arity.LIST ->
                        all.add(call.inputs().stream().map(operand).toList());
                case Operand one -> {
                    Value value = next < call.operands().size() ? call.operands().get(next) : null;
                    all.add(value == null ? null : operand.apply(value));
                    next++;
                }
                case Attribute attribute ->
                        all.add(resolved(call.attribute(attribute.name()).orElse(null), sizes));
                case Fixed(Object value) -> all.add(value);
            }
        }
        return all;
    }
}
