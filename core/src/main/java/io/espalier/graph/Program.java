package io.espalier.graph;

import io.espalier.nn.Module;
import io.espalier.tensor.BoundOperator;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Operator;
import io.espalier.tensor.Operators;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/**
 * A {@link Graph} made ready to run: values are numbered, and each step knows which of them nobody
 * needs after it, so that their memory is free for the next. It holds no module and no tensor.
 */
final class Program {
    private final List<Step> steps = new ArrayList<>();
    private final int inputs;
    private final int slots;
    private final List<Integer> outputs;

    /**
     * One node.
     *
     * @param operator that of a function with a list of tensors
     * @param kernel that of any other function, its constants made ready once
     * @param arguments constants, {@link Slot}s and {@link Slots}; for a kernel, its tensors only
     * @param results the slots of what it computes
     * @param finished the slots that are not needed afterwards
     */
    @SuppressWarnings("ArrayRecordComponent") // never leaves the program
    private record Step(
            Node node,
            @Nullable Operator operator,
            @Nullable BoundOperator kernel,
            List<@Nullable Object> arguments,
            int[] results,
            int[] finished) {}

    /** The place of a value. */
    private record Slot(int index) {}

    /** The places of the values of a list; other elements are constants. */
    private record Slots(List<?> elements) {}

    Program(Graph graph) {
        Map<Value, Integer> numbers = new HashMap<>();
        graph.inputs().forEach(input -> numbers.put(input, numbers.size()));
        this.inputs = numbers.size();
        graph.nodes()
                .forEach(node ->
                        node.results().forEach(result -> numbers.put(result, numbers.size())));
        this.slots = numbers.size();
        this.outputs = graph.outputs().stream().map(numbers::get).toList();
        Map<Value, Integer> lastUse = new HashMap<>();
        for (int i = 0; i < graph.nodes().size(); i++) {
            for (Value result : graph.nodes().get(i).results()) {
                lastUse.put(result, i);
            }
            for (Value input : graph.nodes().get(i).inputs()) {
                lastUse.put(input, i);
            }
        }
        for (int i = 0; i < graph.nodes().size(); i++) {
            Node node = graph.nodes().get(i);
            int at = i;
            int[] finished =
                    lastUse.entrySet().stream()
                            .filter(use -> use.getValue() == at && !graph.returns(use.getKey()))
                            .mapToInt(use -> numbers.getOrDefault(use.getKey(), 0))
                            .filter(slot -> slot >= inputs)
                            .toArray();
            steps.add(step(node, numbers, finished));
        }
    }

    private static Step step(Node node, Map<Value, Integer> numbers, int[] finished) {
        List<?> arguments =
                node instanceof Node.FunctionCall call ? call.arguments() : node.inputs();
        List<@Nullable Object> numbered = new ArrayList<>();
        for (Object argument : arguments) {
            numbered.add(numbered(argument, numbers));
        }
        int[] results =
                node.results().stream()
                        .mapToInt(value -> Objects.requireNonNull(numbers.get(value)))
                        .toArray();
        Operator operator =
                node instanceof Node.FunctionCall call ? Operators.find(call.operator()) : null;
        if (operator == null || numbered.stream().anyMatch(Slots.class::isInstance)) {
            return new Step(node, operator, null, numbered, results, finished);
        }
        BoundOperator kernel =
                operator.bind(
                        numbered.stream()
                                .map(argument ->
                                        argument instanceof Slot ? Operator.TENSOR : argument)
                                .toArray());
        List<@Nullable Object> tensors = new ArrayList<>(numbered);
        tensors.removeIf(argument -> !(argument instanceof Slot));
        return new Step(node, null, kernel, tensors, results, finished);
    }

    private static @Nullable Object numbered(
            @Nullable Object argument, Map<Value, Integer> numbers) {
        return switch (argument) {
            case Value value -> new Slot(Objects.requireNonNull(numbers.get(value)));
            case List<?> list when list.stream().anyMatch(Value.class::isInstance) ->
                    new Slots(list.stream().map(element -> numbered(element, numbers)).toList());
            case null, default -> argument;
        };
    }

    List<Tensor> run(List<Tensor> given, List<@Nullable Module> owners) {
        boolean watched =
                owners.stream().anyMatch(owner -> owner != null && owner.current().hasHooks());
        PointerScope outer = PointerScope.getInnerScope();
        try (var scope = new PointerScope()) {
            @Nullable Tensor[] values = new @Nullable Tensor[slots];
            boolean[] own = new boolean[slots];
            for (int i = 0; i < inputs; i++) {
                values[i] = given.get(i);
            }
            for (int i = 0; i < steps.size(); i++) {
                compute(steps.get(i), owners.get(i), values, own);
                if (!watched) {
                    free(steps.get(i), values, own);
                }
            }
            List<Tensor> results = new ArrayList<>();
            for (int output : outputs) {
                Tensor result = Objects.requireNonNull(values[output]);
                results.add(isGiven(result, given) ? result : Tensors.handOver(result, outer));
            }
            return results;
        }
    }

    private static void compute(
            Step step, @Nullable Module owner, @Nullable Tensor[] values, boolean[] own) {
        switch (step.node()) {
            case Node.ModuleCall call -> {
                List<Tensor> arguments = new ArrayList<>(step.arguments().size());
                for (Object argument : step.arguments()) {
                    arguments.add((Tensor) Objects.requireNonNull(value(argument, values)));
                }
                List<Tensor> results = Objects.requireNonNull(owner).callAll(arguments);
                if (results.size() != step.results().length) {
                    throw new EspalierException(
                            "'"
                                    + call.path()
                                    + "' gave "
                                    + results.size()
                                    + " tensors; the graph knows "
                                    + step.results().length
                                    + ".");
                }
                boolean fresh = isLibrary(owner);
                for (int i = 0; i < results.size(); i++) {
                    int slot = step.results()[i];
                    own[slot] = fresh && !disown(results.get(i), values, own);
                    values[slot] = results.get(i);
                }
            }
            case Node.FunctionCall call when step.kernel() != null -> {
                Tensor[] tensors = new Tensor[step.arguments().size()];
                for (int i = 0; i < tensors.length; i++) {
                    tensors[i] =
                            (Tensor) Objects.requireNonNull(value(step.arguments().get(i), values));
                }
                values[step.results()[0]] = step.kernel().call(tensors);
                own[step.results()[0]] = true;
            }
            case Node.FunctionCall call -> {
                @Nullable Object[] arguments = new @Nullable Object[step.arguments().size()];
                for (int i = 0; i < arguments.length; i++) {
                    arguments[i] = value(step.arguments().get(i), values);
                }
                values[step.results()[0]] =
                        Objects.requireNonNull(step.operator()).tensor(arguments);
                own[step.results()[0]] = true;
            }
            case Node.Attribute attribute -> {
                Module module = Objects.requireNonNull(owner).current();
                values[step.results()[0]] =
                        module.hasParameter(attribute.name())
                                ? module.value(attribute.name())
                                : module.buffer(attribute.name());
            }
        }
    }

    /** Leaves a tensor that a module merely handed on to the scope, which frees it in the end. */
    @SuppressWarnings("ReferenceEquality") // the very same tensor
    private static boolean disown(Tensor result, @Nullable Tensor[] values, boolean[] own) {
        boolean known = false;
        for (int slot = 0; slot < values.length; slot++) {
            if (values[slot] == result) {
                own[slot] = false;
                known = true;
            }
        }
        return known;
    }

    /** A user's module may keep the tensor that it returns; the library's do not. */
    private static boolean isLibrary(Module owner) {
        String name = owner.current().getClass().getPackageName();
        return name.startsWith("io.espalier.");
    }

    private static @Nullable Object value(@Nullable Object argument, @Nullable Tensor[] values) {
        return switch (argument) {
            case Slot slot -> values[slot.index()];
            case Slots list ->
                    list.elements().stream().map(element -> value(element, values)).toList();
            case null, default -> argument;
        };
    }

    private static void free(Step step, @Nullable Tensor[] values, boolean[] own) {
        for (int slot : step.finished()) {
            Tensor value = values[slot];
            values[slot] = null;
            if (value != null && own[slot]) {
                value.close();
            }
        }
    }

    @SuppressWarnings("ReferenceEquality") // the caller's own tensor stays in the caller's scope
    private static boolean isGiven(Tensor result, List<Tensor> given) {
        return given.stream().anyMatch(input -> input == result);
    }
}
