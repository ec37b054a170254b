package io.espalier.quant.graph;

import io.espalier.graph.Graph;
import io.espalier.graph.GraphModule;
import io.espalier.graph.GraphOperator;
import io.espalier.graph.Names;
import io.espalier.graph.Node;
import io.espalier.graph.Node.ModuleCall;
import io.espalier.graph.Node.OperatorCall;
import io.espalier.graph.Value;
import io.espalier.nn.Module;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Moves {@code s · x + t}, with one s and t for all, behind the averages that are taken of it, and
 * into the gates that it is multiplied by (squeeze and excitation): the mean of {@code s · x + t}
 * is that of x times s and t more, and {@code (s · x + t) · g} is {@code x · (s · g) + t · g},
 * where s · g and t · g are of one number a channel. What was a pass over all of x costs nothing
 * then.
 */
final class GatedAffine {
    private final Graph graph;
    private final Map<String, Module> modules;
    private final Map<Value, Node> producers;
    private final Map<Value, List<Node>> consumers;
    private final Names names;

    private GatedAffine(GraphModule model) {
        this.graph = model.graph();
        this.modules = model.modules();
        this.producers = graph.producers();
        this.consumers = graph.consumers();
        this.names = Names.beside(graph);
    }

    static GraphModule apply(GraphModule model) {
        Graph moved = new GatedAffine(model).moved();
        Map<String, Module> modules = new LinkedHashMap<>(model.modules());
        Set<String> called = moved.modulePaths();
        modules.keySet()
                .removeIf(path ->
                        model.graph().modulePaths().contains(path) && !called.contains(path));
        return new GraphModule(moved, modules);
    }

    private Graph moved() {
        Map<Value, ModuleCall> affines = new HashMap<>();
        List<Node> nodes = new ArrayList<>();
        for (Node node : graph.nodes()) {
            if (node instanceof ModuleCall call && mayMove(call)) {
                affines.put(call.result(), call);
                continue;
            }
            ModuleCall affine =
                    node.inputs().stream()
                            .filter(affines::containsKey)
                            .findFirst()
                            .map(affines::get)
                            .orElse(null);
            switch (node) {
                case OperatorCall call when affine != null && isAverage(call) ->
                        after(affine, call, nodes);
                case OperatorCall product when affine != null ->
                        nodes.addAll(into(affine, product));
                default -> nodes.add(node);
            }
        }
        return graph.withNodes(nodes);
    }

    /** Whether it is such, and all that read it are averages or products with gates. */
    private boolean mayMove(ModuleCall call) {
        List<Node> readers = consumers.getOrDefault(call.result(), List.of());
        return !readers.isEmpty()
                && !graph.returns(call.result())
                && UniformAffine.of(modules.get(call.path())).isPresent()
                && readers.stream()
                        .allMatch(node ->
                                node instanceof OperatorCall reader
                                        && (isAverage(reader)
                                                || gate(call.result(), reader).isPresent()));
    }

    /** Whether each result is the mean of elements of the input and of nothing else. */
    private static boolean isAverage(OperatorCall call) {
        if (call.calls(GraphOperator.ADAPTIVE_AVG_POOL2D)) {
            return true;
        }
        return call.calls(GraphOperator.AVG_POOL2D)
                && (!call.flag("count_include_pad")
                        || call.integers("padding").stream().allMatch(pad -> pad == 0));
    }

    /** What a value is multiplied by, if that follows from an average over whole channels. */
    private Optional<Value> gate(Value value, OperatorCall product) {
        if (!product.calls(GraphOperator.MUL) || Set.copyOf(product.inputs()).size() < 2) {
            return Optional.empty();
        }
        Value other = product.inputs().get(product.inputs().getFirst().equals(value) ? 1 : 0);
        Node node = producers.get(other);
        while (node != null && node.inputs().size() == 1) {
            if (node instanceof OperatorCall call
                    && call.calls(GraphOperator.ADAPTIVE_AVG_POOL2D)) {
                return call.integers("output_size").equals(List.of(1L, 1L))
                        ? Optional.of(other)
                        : Optional.empty();
            }
            node = producers.get(node.inputs().getFirst());
        }
        return Optional.empty();
    }

    private UniformAffine numbers(ModuleCall affine) {
        return UniformAffine.of(modules.get(affine.path())).orElseThrow();
    }

    /** The affine of an average. */
    private void after(ModuleCall affine, OperatorCall average, List<Node> nodes) {
        Value mean = names.fresh(average.result().name() + "_unscaled");
        nodes.add(
                new OperatorCall(average.operator(), affine.inputs(), average.attributes(), mean));
        UniformAffine numbers = numbers(affine);
        Value scaled = names.fresh(average.result().name() + "_scaled");
        nodes.add(times(mean, numbers.scale(), scaled));
        nodes.add(
                new OperatorCall(
                        GraphOperator.ADD_SCALAR,
                        List.of(scaled),
                        Map.of("other", numbers.shift()),
                        average.result()));
    }

    /** The product with a gate that has the affine's numbers in it. */
    private List<Node> into(ModuleCall affine, OperatorCall product) {
        UniformAffine numbers = numbers(affine);
        Value gate = gate(affine.result(), product).orElseThrow();
        Value scaled = names.fresh(gate.name() + "_scaled");
        Value shift = names.fresh(gate.name() + "_shift");
        return List.of(
                times(gate, numbers.scale(), scaled),
                times(gate, numbers.shift(), shift),
                new OperatorCall(
                        GraphOperator.ADDCMUL,
                        List.of(shift, affine.inputs().getFirst(), scaled),
                        Map.of(),
                        product.result()));
    }

    private static Node times(Value x, double number, Value result) {
        return new OperatorCall(
                GraphOperator.MUL_SCALAR, List.of(x), Map.of("other", number), result);
    }
}
