package io.espalier.graph;

import io.espalier.nn.CallRecorder;
import io.espalier.nn.Module;
import io.espalier.tensor.EspalierException;

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
    /** Bound during a call that may compute in the memory of its second input. */
    static final ScopedValue<Boolean> OVERWRITES = ScopedValue.newInstance();

    private final List<Step> steps = new ArrayList<>();
    private final int inputs;
    private final int slots;
    private final List<Integer> outputs;
    private final Signature signature;
    private final boolean needsSizes;
    private final boolean reusesMemory;

    /**
     * One node.
     *
     * @param kernel that of an operator's call
     * @param operands the slots of its inputs
     * @param results the slots of what it computes
     * @param finished the slots that are not needed afterwards
     * @param overwrites whether it may compute in the memory of its second input
     */
    @SuppressWarnings("ArrayRecordComponent") // never leaves the program
    private record Step(
            Node node,
            LibtorchBinding.@Nullable Kernel kernel,
            int[] operands,
            int[] results,
            int[] finished,
            boolean overwrites) {}

    /**
     * Makes it ready.
     *
     * @param owners what the nodes call; they are asked about memory only
     */
    Program(Graph graph, List<@Nullable Module> owners) {
        Map<Value, Integer> numbers = new HashMap<>();
        graph.inputs().forEach(input -> numbers.put(input, numbers.size()));
        this.inputs = numbers.size();
        graph.nodes()
                .forEach(node ->
                        node.results().forEach(result -> numbers.put(result, numbers.size())));
        this.slots = numbers.size();
        this.outputs = graph.outputs().stream().map(numbers::get).toList();
        this.signature = graph.signature();
        this.needsSizes = signature.isNeeded(graph.nodes());
        List<List<Integer>> finished = finished(graph, numbers);
        List<Boolean> overwrites = MemoryReuse.overwrites(graph, owners);
        this.reusesMemory = overwrites.contains(true);
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
                            finished.get(i).stream().mapToInt(Integer::intValue).toArray(),
                            overwrites.get(i)));
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

    List<Tensor> run(
            List<Tensor> given, List<@Nullable Module> owners, @Nullable StepWatcher watcher) {
        Map<String, Long> free = needsSizes ? signature.sizes(given) : Map.of();
        if (watcher == null && CallRecorder.CURRENT.isBound()) {
            return recorded(given, owners, free, CallRecorder.CURRENT.get());
        }
        boolean overwrites = reusesMemory && owners.stream().noneMatch(Program::isWatched);
        try (RunScope scope = RunScope.open()) {
            var values = new Values(slots, scope);
            for (int i = 0; i < inputs; i++) {
                values.lend(i, given.get(i));
            }
            for (int i = 0; i < steps.size(); i++) {
                Step step = steps.get(i);
                compute(step, owners.get(i), values, free, overwrites);
                if (watcher != null) {
                    watcher.step(
                            step.node,
                            List.of(values.of(step.operands)),
                            List.of(values.of(step.results)));
                }
                values.free(step.finished());
            }
            return outputs.stream().map(values::handOver).toList();
        }
    }

    /**
     * Runs as a model's own code does, whose calls a recorder sees and whose tensors it may keep.
     */
    private List<Tensor> recorded(
            List<Tensor> given,
            List<@Nullable Module> owners,
            Map<String, Long> free,
            CallRecorder recorder) {
        try (RunScope scope = RunScope.open()) {
            var values = new Values(slots, scope);
            for (int i = 0; i < inputs; i++) {
                values.lend(i, given.get(i));
            }
            scope.aside(() -> {
                for (int i = 0; i < steps.size(); i++) {
                    Step step = steps.get(i);
                    compute(step, owners.get(i), values, free, false);
                    if (step.node() instanceof Node.OperatorCall call) {
                        recorder.function(
                                List.of(values.of(step.results())),
                                call.operator().libtorch(),
                                LibtorchBinding.arguments(call, free, values.of(step.operands())));
                    }
                }
                return true;
            });
            return outputs.stream().map(values::get).toList();
        }
    }

    /** A hook may keep what it sees. */
    private static boolean isWatched(@Nullable Module owner) {
        return owner != null && owner.current().isHooked();
    }

    private static void compute(
            Step step,
            @Nullable Module owner,
            Values values,
            Map<String, Long> free,
            boolean overwrites) {
        switch (step.node()) {
            case Node.ModuleCall call -> {
                Module module = Objects.requireNonNull(owner).current();
                if (module.isAtomic() && !module.isHooked()) {
                    Tensor[] operands = values.of(step.operands());
                    List<Tensor> results =
                            step.overwrites() && overwrites && values.owns(step.operands()[1])
                                    ? ScopedValue.where(OVERWRITES, true)
                                            .call(() -> module.callAll(List.of(operands)))
                                    : module.callAll(List.of(operands));
                    requireCount("'" + call.path() + "'", results, step);
                    values.own(step.results(), results, operands);
                } else {
                    List<Tensor> results = values.lendTo(module, step.operands());
                    requireCount("'" + call.path() + "'", results, step);
                    for (int i = 0; i < results.size(); i++) {
                        values.lend(step.results()[i], results.get(i));
                    }
                }
            }
            case Node.OperatorCall call -> {
                List<Tensor> results =
                        Objects.requireNonNull(step.kernel())
                                .call(free, values.of(step.operands()));
                requireCount(call.operator().toString(), results, step);
                values.own(step.results(), results);
            }
            case Node.StateRead read -> {
                Module module = Objects.requireNonNull(owner).current();
                String name = read.name();
                boolean stored = module.parametrizations(name).isEmpty();
                Tensor value = module.valueOrBuffer(name);
                if (stored) {
                    values.lend(step.results()[0], value);
                } else {
                    values.own(step.results(), List.of(value));
                }
            }
        }
    }

    private static void requireCount(String what, List<Tensor> results, Step step) {
        if (results.size() != step.results().length) {
            throw new EspalierException(
                    what
                            + " gave "
                            + results.size()
                            + " tensors; the graph knows "
                            + step.results().length
                            + ".");
        }
    }
}
