package io.espalier.slim;

import io.espalier.graph.Graph;
import io.espalier.graph.GraphModule;
import io.espalier.graph.GraphOperator;
import io.espalier.graph.Node;
import io.espalier.graph.Node.OperatorCall;
import io.espalier.graph.Node.StateRead;
import io.espalier.graph.Value;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.Stream;

/**
 * Finds the residual blocks of a Java model: the innermost ones, and never one with all layers of
 * the model. A model is code, so a block can only be left out where modules of the model compute
 * it, in whose places others can come.
 */
final class ModelBlocks {
    private final ModelAnalysis analysis;
    private final Graph graph;
    private final Map<Value, Node> producers;
    private final Map<Value, List<Node>> readers;
    private final Map<Node, Long> multiplications = new HashMap<>();
    private final ModuleCalls calls;

    /**
     * A branch past which something goes.
     *
     * @param sum that it is added in
     * @param layers the paths of the modules that multiply in it
     * @param block how it may be left out
     * @param stays why it can't be
     */
    record Found(
            Node sum,
            Set<Node> nodes,
            List<String> layers,
            Optional<ModelBlock> block,
            String stays) {
        /** What is told of it. */
        ResidualBlock told() {
            return new ResidualBlock(layers, Optional.of(stays).filter(why -> block.isEmpty()));
        }

        /** The same if nothing hinders that it is left out. */
        Found checked(Function<ModelBlock, Optional<String>> hindrance) {
            Optional<String> why = block.flatMap(hindrance);
            return why.isEmpty()
                    ? this
                    : new Found(sum, nodes, layers, Optional.empty(), why.get());
        }
    }

    private ModelBlocks(ModelAnalysis analysis, List<Tensor> example) {
        this.analysis = analysis;
        graph = analysis.traced().graph();
        producers = graph.producers();
        readers = graph.consumers();
        analysis.traced()
                .costs(example)
                .rows()
                .forEach(row -> multiplications.put(row.node(), row.macs()));
        calls = new ModuleCalls(analysis, example);
    }

    /**
     * All of a model, in the order of its program; none of one that is watched, nor of one that is
     * a program itself, whose steps stay whatever stands for modules.
     */
    static List<Found> of(ModelAnalysis analysis, List<Tensor> example) {
        return analysis.model().isHooked() || analysis.model() instanceof GraphModule
                ? List.of()
                : new ModelBlocks(analysis, example).all();
    }

    private List<Found> all() {
        List<Found> all = new ArrayList<>();
        for (Node node : graph.nodes()) {
            if (node instanceof OperatorCall sum && sum.calls(GraphOperator.ADD)) {
                for (int place = 0; place < sum.inputs().size(); place++) {
                    if (goesBy(sum, place)) {
                        find(sum, place).ifPresent(all::add);
                    }
                }
            }
        }
        return all.stream()
                .filter(outer ->
                        all.stream().noneMatch(inner -> outer.nodes().contains(inner.sum())))
                .toList();
    }

    /** Whether the other operand of a sum has its shape, and this one is for the sum alone. */
    private boolean goesBy(OperatorCall sum, int place) {
        List<Value> operands = sum.inputs();
        if (operands.size() != 2 || operands.getFirst().equals(operands.getLast())) {
            return false;
        }
        Value branch = operands.get(place);
        long[] extents = analysis.extents(sum.result());
        return producers.containsKey(branch)
                && isOnlyReadBy(branch, sum)
                && Arrays.equals(extents, analysis.extents(branch))
                && Arrays.equals(extents, analysis.extents(operands.get(1 - place)));
    }

    private boolean isOnlyReadBy(Value value, Node reader) {
        return !graph.returns(value)
                && readers.getOrDefault(value, List.of()).equals(List.of(reader));
    }

    private Optional<Found> find(OperatorCall sum, int place) {
        Value x = sum.inputs().get(1 - place);
        Value branch = sum.inputs().get(place);
        Set<Node> whole = alone(branch);
        List<Node> layers =
                graph.nodes().stream().filter(whole::contains).filter(this::multiplies).toList();
        List<String> paths =
                layers.stream().flatMap(node -> node.modulePath().stream()).distinct().toList();
        if (whole.stream().noneMatch(node -> node.inputs().contains(x))
                || paths.isEmpty()
                || layers.size() == graph.nodes().stream().filter(this::multiplies).count()) {
            return Optional.empty();
        }
        Set<Value> behind = new HashSet<>();
        Value given = branch;
        while (given != null) {
            Set<Node> nodes = given.equals(branch) ? whole : alone(given);
            Optional<String> giver = calls.giver(given, results(nodes));
            if (giver.isPresent()) {
                return Optional.of(found(sum, paths, given, behind, nodes, giver.get()));
            }
            behind.add(given);
            given = before(given);
        }
        return Optional.of(
                new Found(
                        sum,
                        whole,
                        paths,
                        Optional.empty(),
                        "no module gives what '%s' adds and does nothing else"
                                .formatted(sum.result())));
    }

    private boolean multiplies(Node node) {
        return multiplications.getOrDefault(node, 0L) > 0;
    }

    /** All nodes that compute for a value alone, its own among them. */
    private Set<Node> alone(Value value) {
        Set<Node> within = new HashSet<>();
        for (Node node : graph.nodes().reversed()) {
            boolean isRead = node.results().stream().anyMatch(readers::containsKey);
            boolean isAlone =
                    node.results().stream()
                            .allMatch(result -> result.equals(value) || isFor(result, within));
            if (isRead && isAlone) {
                within.add(node);
            }
        }
        return within;
    }

    private boolean isFor(Value value, Set<Node> within) {
        return !graph.returns(value) && within.containsAll(readers.getOrDefault(value, List.of()));
    }

    /** What a value is computed from, if it is by an operator and of that and parameters alone. */
    private @Nullable Value before(Value value) {
        if (!(producers.get(value) instanceof OperatorCall call)) {
            return null;
        }
        List<Value> computed =
                call.inputs().stream()
                        .filter(input -> !(producers.get(input) instanceof StateRead))
                        .toList();
        return computed.size() == 1
                        && producers.containsKey(computed.getFirst())
                        && isOnlyReadBy(computed.getFirst(), call)
                ? computed.getFirst()
                : null;
    }

    private static Set<Value> results(Collection<Node> nodes) {
        Set<Value> results = new HashSet<>();
        nodes.forEach(node -> results.addAll(node.results()));
        return results;
    }

    private Found found(
            Node sum,
            List<String> layers,
            Value branch,
            Set<Value> behind,
            Set<Node> nodes,
            String giver) {
        List<String> passed = calls.within(results(nodes), giver);
        Set<Value> covered = calls.computedIn(giver);
        passed.forEach(path -> covered.addAll(calls.computedIn(path)));
        Optional<Node> code =
                graph.nodes().stream()
                        .filter(nodes::contains)
                        .filter(node -> !covered.contains(node.result()) && multiplies(node))
                        .findFirst();
        if (code.isPresent()) {
            String why = "'%s' is computed by no module of its own".formatted(code.get().result());
            return new Found(sum, nodes, layers, Optional.empty(), why);
        }
        if (!hasChannels(branch)) {
            String why = "the channels of '%s' are not known".formatted(branch);
            return new Found(sum, nodes, layers, Optional.empty(), why);
        }
        var block = new ModelBlock(branch, behind, nodes, giver, passed, tensors(passed, giver));
        return new Found(sum, nodes, layers, Optional.of(block), "");
    }

    /** Whether something but not all of a value is known to be channels. */
    private boolean hasChannels(Value value) {
        List<Axis> axes = analysis.value(value).axes();
        long plain = axes.stream().filter(Axis::isPlain).count();
        return 0 < plain && plain < axes.size() && isFloating(value);
    }

    private boolean isFloating(Value value) {
        try (var scope = new PointerScope()) {
            return Tensors.empty(analysis.type(value)).is_floating_point();
        }
    }

    private Set<String> tensors(List<String> passed, String giver) {
        Map<String, Integer> held = new HashMap<>();
        Stream.concat(passed.stream(), Stream.of(giver))
                .flatMap(path -> analysis.tensors().below(path).stream())
                .forEach(name -> held.merge(name, 1, Integer::sum));
        held.entrySet()
                .removeIf(each -> each.getValue() < analysis.tensors().holders(each.getKey()));
        return held.keySet();
    }
}
