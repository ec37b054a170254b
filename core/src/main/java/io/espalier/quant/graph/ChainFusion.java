package io.espalier.quant.graph;

import io.espalier.graph.Graph;
import io.espalier.graph.GraphModule;
import io.espalier.graph.GraphOperator;
import io.espalier.graph.Node;
import io.espalier.graph.Node.ModuleCall;
import io.espalier.graph.Node.OperatorCall;
import io.espalier.graph.Value;
import io.espalier.nn.BatchNorm;
import io.espalier.nn.BatchNorm1d;
import io.espalier.nn.BatchNorm2d;
import io.espalier.nn.BatchNorm3d;
import io.espalier.nn.Module;
import io.espalier.quant.fusion.Folding;
import io.espalier.quant.layer.ChainActivation;
import io.espalier.quant.layer.FusedChain;
import io.espalier.quant.layer.IntegerKernels;
import io.espalier.quant.layer.LayerKinds;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.SequencedMap;
import java.util.Set;
import java.util.function.UnaryOperator;

/**
 * Joins the nodes of a graph that one integer kernel computes: convolution or linear layer, batch
 * normalization, sum, activation. The passes run in the order of {@link #fuse}.
 */
public final class ChainFusion {
    private static final char AGAIN = '#';
    private static final Set<Class<? extends Module>> NORMS =
            Set.of(BatchNorm1d.class, BatchNorm2d.class, BatchNorm3d.class);

    private final IntegerKernels kernels;
    private final SequencedMap<String, Module> modules;
    private Graph graph;

    private ChainFusion(GraphModule model, IntegerKernels kernels) {
        this.kernels = kernels;
        this.modules = new LinkedHashMap<>(model.modules());
        this.graph = model.graph();
    }

    /**
     * The graph of a float model with its chains fused.
     *
     * @param kernels the family that is to compute them
     */
    public static GraphModule fuse(GraphModule model, IntegerKernels kernels) {
        var fusion = new ChainFusion(model, kernels);
        fusion.separateCalls();
        fusion.recognizeSilu();
        fusion.foldBatchNorms();
        fusion.joinChains();
        return new GraphModule(fusion.graph, fusion.modules);
    }

    /**
     * A layer that is called several times is a layer for each call: what comes in, and what
     * follows, differ. The second call of {@code head} is that of {@code head#2}, of the same
     * tensors.
     */
    private void separateCalls() {
        Map<String, Integer> seen = new HashMap<>();
        List<Node> nodes = new ArrayList<>();
        for (Node node : graph.nodes()) {
            if (node instanceof ModuleCall call
                    && (isAnchor(modules.get(call.path()))
                            || modules.get(call.path()) instanceof BatchNorm)
                    && seen.merge(call.path(), 1, Integer::sum) > 1) {
                String own = call.path() + AGAIN + seen.get(call.path());
                modules.put(own, Objects.requireNonNull(modules.get(call.path())).alias());
                nodes.add(new ModuleCall(own, call.inputs(), call.results()));
            } else {
                nodes.add(node);
            }
        }
        graph = graph.withNodes(nodes);
    }

    /**
     * The place among those of the model's layers that a path, which may be a call's, stands for.
     */
    static String placeOf(String path, Set<String> places) {
        int again = path.lastIndexOf(AGAIN);
        return again < 0 || places.contains(path) ? path : path.substring(0, again);
    }

    /** {@code x · sigmoid(x)} is one function. */
    private void recognizeSilu() {
        Map<Value, Node> producers = graph.producers();
        List<Node> nodes = new ArrayList<>();
        for (Node node : graph.nodes()) {
            Value gated = gatedBySigmoid(node, producers);
            nodes.add(
                    gated == null
                            ? node
                            : new OperatorCall(GraphOperator.SILU, gated, node.result()));
        }
        graph = graph.withNodes(nodes).withoutUnused();
    }

    private static @Nullable Value gatedBySigmoid(Node node, Map<Value, Node> producers) {
        if (!node.calls(GraphOperator.MUL)) {
            return null;
        }
        Value a = node.inputs().get(0);
        Value b = node.inputs().get(1);
        if (isSigmoidOf(producers.get(b), a)) {
            return a;
        }
        return isSigmoidOf(producers.get(a), b) ? b : null;
    }

    private static boolean isSigmoidOf(@Nullable Node node, Value value) {
        return node != null
                && node.calls(GraphOperator.SIGMOID)
                && node.inputs().getFirst().equals(value);
    }

    /** A batch normalization goes into the weights of the layer before it. */
    private void foldBatchNorms() {
        Map<Value, Node> producers = graph.producers();
        Map<Value, List<Node>> consumers = graph.consumers();
        Map<Value, Value> replaced = new HashMap<>();
        for (Node node : graph.nodes()) {
            if (node instanceof ModuleCall norm
                    && modules.get(norm.path()) instanceof BatchNorm batchNorm
                    && isPlain(batchNorm)
                    && batchNorm.runningMean().isPresent()
                    && producers.get(norm.inputs().getFirst()) instanceof ModuleCall call
                    && isAnchor(modules.get(call.path()))
                    && isUsedOnlyBy(call.result(), norm, consumers)) {
                Module layer = Objects.requireNonNull(modules.get(call.path()));
                if (Folding.channels(layer) == batchNorm.numFeatures()) {
                    modules.put(call.path(), Folding.fold(layer, batchNorm));
                    replaced.put(norm.result(), call.result());
                }
            }
        }
        graph = graph.replacing(replaced).withoutUnused();
    }

    /**
     * Whether a chain can begin with this layer: one that has a kernel, and whose hooks would not
     * be lost.
     */
    public static boolean isAnchor(@Nullable Module module) {
        return module != null && LayerKinds.of(module).isLinearMap() && !module.hasHooks();
    }

    /** Whether it is a batch normalization and no more: no subclass, no hook. */
    private static boolean isPlain(BatchNorm norm) {
        return NORMS.contains(norm.getClass()) && !norm.hasHooks();
    }

    private boolean isUsedOnlyBy(Value value, Node consumer, Map<Value, List<Node>> consumers) {
        return !graph.returns(value)
                && consumers.getOrDefault(value, List.of()).equals(List.of(consumer));
    }

    /** Layer, sum and activation become one {@link FusedChain} at the layer's path. */
    private void joinChains() {
        Map<Value, List<Node>> consumers = graph.consumers();
        Set<Value> defined = new HashSet<>(graph.inputs());
        Map<Value, Value> replaced = new HashMap<>();
        UnaryOperator<Value> now = value -> replaced.getOrDefault(value, value);
        List<Node> nodes = new ArrayList<>();
        Set<Node> absorbed = new HashSet<>();
        for (Node node : graph.nodes()) {
            Node kept = node;
            if (node instanceof ModuleCall call && isAnchor(modules.get(call.path()))) {
                kept = joined(call, consumers, defined, replaced, absorbed);
            }
            if (!absorbed.contains(node)) {
                nodes.add(kept.withInputs(now));
            }
            defined.addAll(node.results());
        }
        graph = graph.with(nodes, graph.outputs().stream().map(now).toList());
    }

    private Node joined(
            ModuleCall call,
            Map<Value, List<Node>> consumers,
            Set<Value> defined,
            Map<Value, Value> replaced,
            Set<Node> absorbed) {
        Module layer = Objects.requireNonNull(modules.get(call.path()));
        List<Value> inputs = new ArrayList<>(call.inputs());
        Value last = call.result();
        Optional<Node> next = onlyConsumer(last, consumers);
        boolean adds = false;
        if (next.isPresent() && kernels.addsInside(layer)) {
            Optional<Value> other = otherOperand(next.get(), last, defined);
            if (other.isPresent()) {
                adds = true;
                inputs.add(other.get());
                absorbed.add(next.get());
                last = next.get().result();
                next = onlyConsumer(last, consumers);
            }
        }
        ChainActivation activation = next.flatMap(ChainActivation::of).orElse(ChainActivation.NONE);
        if (activation != ChainActivation.NONE && kernels.computesInside(layer, adds, activation)) {
            absorbed.add(next.orElseThrow());
            last = next.orElseThrow().result();
        } else {
            activation = ChainActivation.NONE;
        }
        modules.put(call.path(), new FusedChain(layer, adds, activation));
        if (!last.equals(call.result())) {
            replaced.put(last, call.result());
        }
        return new ModuleCall(call.path(), inputs, call.result());
    }

    private Optional<Node> onlyConsumer(Value value, Map<Value, List<Node>> consumers) {
        List<Node> all = consumers.getOrDefault(value, List.of());
        return all.size() == 1 && !graph.returns(value)
                ? Optional.of(all.getFirst())
                : Optional.empty();
    }

    /** What a sum adds to a value, if that is known when the value is computed. */
    private static Optional<Value> otherOperand(Node node, Value one, Set<Value> defined) {
        if (!node.calls(GraphOperator.ADD)) {
            return Optional.empty();
        }
        Value other = node.inputs().get(node.inputs().getFirst().equals(one) ? 1 : 0);
        return other.equals(one) || !defined.contains(other)
                ? Optional.empty()
                : Optional.of(other);
    }
}
