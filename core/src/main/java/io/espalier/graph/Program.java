package io.espalier.graph;

import io.espalier.nn.Module;
import io.espalier.tensor.EspalierException;
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
     * @param kernel that of an operator's call
     * @param operands the slots of its inputs
     * @param results the slots of what it computes
     * @param finished the slots that are not needed afterwards
     */
    @SuppressWarnings("ArrayRecordComponent") // never leaves the program
    private record Step(
            Node node,
            LibtorchBinding.@Nullable Kernel kernel,
            int[] operands,
            int[] results,
            int[] finished) {}

    Program(Graph graph) {
        Map<Value, Integer> numbers = new HashMap<>();
        graph.inputs().forEach(input -> numbers.put(input, numbers.size()));
        this.inputs = numbers.size();
        graph.nodes()
                .forEach(node ->
                        node.results().forEach(result -> numbers.put(result, numbers.size())));
        this.slots = numbers.size();
        this.outputs = graph.outputs().stream().map(numbers::get).toList();
        List<List<Integer>> finished = finished(graph, numbers);
        for (int i = 0; i < graph.nodes().size(); i++) {
            Node node = graph.nodes().get(i);
            steps.add(
                    new Step(
                            node,
                            node instanceof Node.OperatorCall call
                                    ? LibtorchBinding.kernel(call)
                                    : null,
                            slots(node.inputs(), numbers),
                            slots(node.results(), numbers),
                            finished.get(i).stream().mapToInt(Integer::intValue).toArray()));
        }
    }

    private static int[] slots(List<Value> values, Map<Value, Integer> numbers) {
        return values.stream().mapToInt(value -> numbers.getOrDefault(value, 0)).toArray();
    }

    /** For each node the slots that no later one uses; inputs and outputs are the caller's. */
    private List<List<Integer>> finished(Graph graph, Map<Value, Integer> numbers) {
        int[] last = new int[slots];
        for (int i = 0; i < graph.nodes().size(); i++) {
            for (int slot : slots(graph.nodes().get(i).results(), numbers)) {
                last[slot] = i;
            }
            for (int slot : slots(graph.nodes().get(i).inputs(), numbers)) {
                last[slot] = i;
            }
        }
        List<List<Integer>> finished = new ArrayList<>();
        graph.nodes().forEach(node -> finished.add(new ArrayList<>()));
        for (int slot = inputs; slot < slots; slot++) {
            if (!outputs.contains(slot)) {
                finished.get(last[slot]).add(slot);
            }
        }
        return finished;
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
                List<Tensor> results =
                        Objects.requireNonNull(owner).callAll(List.of(operands(step, values)));
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
                    own[slot] = !disown(results.get(i), values, own) && fresh;
                    values[slot] = results.get(i);
                }
            }
            case Node.OperatorCall call -> {
                List<Tensor> results =
                        Objects.requireNonNull(step.kernel()).call(operands(step, values));
                if (results.size() != step.results().length) {
                    throw new EspalierException(
                            call.operator()
                                    + " gave "
                                    + results.size()
                                    + " tensors; the graph knows "
                                    + step.results().length
                                    + ".");
                }
                for (int i = 0; i < results.size(); i++) {
                    values[step.results()[i]] = results.get(i);
                    own[step.results()[i]] = true;
                }
            }
            case Node.StateRead read -> {
                Module module = Objects.requireNonNull(owner).current();
                values[step.results()[0]] =
                        module.hasParameter(read.name())
                                ? module.value(read.name())
                                : module.buffer(read.name());
            }
        }
    }

    private static Tensor[] operands(Step step, @Nullable Tensor[] values) {
        Tensor[] operands = new Tensor[step.operands().length];
        for (int i = 0; i < operands.length; i++) {
            operands[i] = Objects.requireNonNull(values[step.operands()[i]]);
        }
        return operands;
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
