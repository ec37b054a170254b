package io.espalier.quant.graph;

import io.espalier.graph.Graph;
import io.espalier.graph.GraphModule;
import io.espalier.graph.Names;
import io.espalier.graph.Node;
import io.espalier.graph.Node.ModuleCall;
import io.espalier.graph.Value;
import io.espalier.nn.Module;
import io.espalier.quant.layer.FusedChain;
import io.espalier.quant.layer.IntegerKernels;
import io.espalier.quant.layer.Packing;
import io.espalier.quant.observer.Observer;
import io.espalier.quant.observer.ObserverFactory;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;

/** Fuses the chains of a traced model and puts observers where integers will be. */
final class ObserverPlacement {
    private final Graph graph;
    private final SequencedMap<String, Module> modules;
    private final Map<String, LayerSettings> settings;
    private final LayerSettings rest;
    private final IntegerPlacement roles;
    private final Map<Value, Node> producers;
    private final Map<Value, List<Node>> consumers;
    private final Names names;
    private final Map<Value, Value> observed = new HashMap<>();
    private final List<Node> nodes = new ArrayList<>();

    private ObserverPlacement(
            GraphModule fused,
            Map<String, LayerSettings> settings,
            LayerSettings rest,
            IntegerKernels kernels) {
        this.graph = fused.graph();
        this.modules = new LinkedHashMap<>(fused.modules());
        this.settings = settings;
        this.rest = rest;
        this.roles = new IntegerPlacement(graph, modules, settings.keySet(), kernels);
        this.producers = graph.producers();
        this.consumers = graph.consumers();
        this.names = Names.beside(graph);
    }

    /**
     * The graph to calibrate.
     *
     * @param fused a graph of chains
     * @param settings those of the layers that are to compute in integers, by path; at least one,
     *     all of one engine
     */
    static GraphModule apply(
            GraphModule fused, Map<String, LayerSettings> settings, IntegerKernels kernels) {
        LayerSettings first = settings.values().iterator().next();
        return new ObserverPlacement(fused, settings, first, kernels).observe();
    }

    private GraphModule observe() {
        graph.inputs().forEach(this::observe);
        for (Node node : graph.nodes()) {
            boolean integers = roles.isInteger(node);
            nodes.add(node.withInputs(value -> seenBy(integers, value)));
            node.results().forEach(this::observe);
        }
        List<Value> outputs = graph.outputs().stream().map(value -> seenBy(false, value)).toList();
        settings.forEach((path, given) ->
                modules.computeIfPresent(path, (own, module) -> packedAs(module, given.packing())));
        return new GraphModule(graph.with(nodes, outputs), modules);
    }

    private static Module packedAs(Module module, Packing packing) {
        return module instanceof FusedChain chain ? chain.packedAs(packing) : module;
    }

    /** A float node keeps to the float form of a value where there will be one. */
    private Value seenBy(boolean integers, Value value) {
        return integers || roles.isComputedInIntegers(value)
                ? observed.getOrDefault(value, value)
                : value;
    }

    private void observe(Value value) {
        if (!roles.needsRange(value)) {
            return;
        }
        String path = "activation_post_process_" + observed.size();
        Observer observer = factory(value).made();
        observer.standsAt(place(value));
        observer.eval();
        modules.put(path, observer);
        Value seen = names.fresh(value.name() + "_observed");
        nodes.add(new ModuleCall(path, List.of(value), seen));
        observed.put(value, seen);
    }

    private String place(Value value) {
        return producers.get(value) instanceof ModuleCall call ? call.path() : value.name();
    }

    /** The activation's observer of the layer that computes a value, or of one that uses it. */
    private ObserverFactory factory(Value value) {
        List<Node> near = new ArrayList<>();
        if (producers.get(value) != null) {
            near.add(producers.get(value));
        }
        near.addAll(consumers.getOrDefault(value, List.of()));
        for (Node node : near) {
            if (node instanceof ModuleCall call && settings.containsKey(call.path())) {
                return settings.getOrDefault(call.path(), rest).activation();
            }
        }
        return rest.activation();
    }
}
