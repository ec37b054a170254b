package io.espalier.quant;

import io.espalier.graph.Graph;
import io.espalier.graph.GraphModule;
import io.espalier.graph.Names;
import io.espalier.graph.Node;
import io.espalier.graph.Node.ModuleCall;
import io.espalier.graph.Value;
import io.espalier.nn.Module;
import io.espalier.quant.layer.FusedChain;
import io.espalier.quant.layer.IntegerKernels;
import io.espalier.quant.observer.Observer;
import io.espalier.quant.observer.ObserverFactory;
import io.espalier.tensor.EspalierException;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.SequencedMap;

/** Fuses the chains of a traced model and puts observers where integers will be. */
final class GraphPreparation {
    private final Graph graph;
    private final SequencedMap<String, Module> modules;
    private final Map<String, QConfig> configurations;
    private final QConfig rest;
    private final GraphRoles roles;
    private final Map<Value, Node> producers;
    private final Map<Value, List<Node>> consumers;
    private final Names names;
    private final Map<Value, Value> observed = new HashMap<>();
    private final List<Node> nodes = new ArrayList<>();

    private GraphPreparation(
            GraphModule fused,
            Map<String, QConfig> configurations,
            QConfig rest,
            IntegerKernels kernels) {
        this.graph = fused.graph();
        this.modules = new LinkedHashMap<>(fused.modules());
        this.configurations = configurations;
        this.rest = rest;
        this.roles = new GraphRoles(graph, modules, configurations, kernels);
        this.producers = graph.producers();
        this.consumers = graph.consumers();
        this.names = Names.beside(graph);
    }

    static GraphModule prepare(GraphModule traced) {
        Conversion.requireUnconverted(traced, Site.of(traced));
        if (traced.modules().values().stream().anyMatch(FusedChain.class::isInstance)) {
            throw new EspalierException(
                    "The graph is prepared already; run calibration data through it, then"
                            + " GraphQuantization.convert.");
        }
        Map<String, QConfig> configurations = configurations(traced);
        QConfig first = first(traced, configurations);
        IntegerKernels kernels = IntegerKernels.of(first.packing());
        GraphModule fused = GraphFusion.fuse(traced, kernels);
        return new GraphPreparation(fused, ofCalls(fused, configurations), first, kernels)
                .observe();
    }

    /** The configurations of layers, for each call of theirs. */
    private static Map<String, QConfig> ofCalls(
            GraphModule fused, Map<String, QConfig> configurations) {
        Map<String, QConfig> found = new LinkedHashMap<>();
        for (String path : fused.modules().keySet()) {
            QConfig given = configurations.get(GraphFusion.placeOf(path, configurations.keySet()));
            if (given != null) {
                found.put(path, given);
            }
        }
        return found;
    }

    private static QConfig first(GraphModule traced, Map<String, QConfig> configurations) {
        if (configurations.isEmpty()) {
            throw new EspalierException(
                    "Nothing to quantize: no linear layer or convolution in the graph has a"
                            + " qconfig; call model.qconfig(QConfig.forBackend(\"x86\")) first.");
        }
        QConfig first = configurations.values().iterator().next();
        configurations.forEach((path, qconfig) -> {
            if (qconfig.engine() != first.engine()) {
                throw new EspalierException(
                        "A graph runs on one engine; '"
                                + path
                                + "' is configured for "
                                + qconfig.engine()
                                + ", others for "
                                + first.engine()
                                + ".");
            }
            if (qconfig.isFloat16()) {
                throw new EspalierException(
                        "A graph is quantized to 8 bit; for float16 use prepare and convert on the"
                                + " model itself.");
            }
        });
        if (traced.isTraining()) {
            throw new EspalierException(
                    "A graph is prepared in inference mode; call eval() first.");
        }
        return first;
    }

    /**
     * The configuration of each layer with weights that the graph itself calls: its own, or that of
     * a place above it. Layers inside a module that was not looked into stay as they are.
     */
    private static Map<String, QConfig> configurations(GraphModule traced) {
        Map<String, QConfig> found = new LinkedHashMap<>();
        Map<String, Module> called = traced.modules();
        for (Site site : Site.of(traced)) {
            if (GraphFusion.isAnchor(site.module()) && called.containsKey(site.path())) {
                found.put(site.path(), site.qconfig());
            }
        }
        return found;
    }

    private GraphModule observe() {
        graph.inputs().forEach(this::observe);
        for (Node node : graph.nodes()) {
            boolean integers = roles.isInteger(node);
            nodes.add(node.withInputs(value -> seenBy(integers, value)));
            node.results().forEach(this::observe);
        }
        List<Value> outputs = graph.outputs().stream().map(value -> seenBy(false, value)).toList();
        configurations.forEach(
                (path, qconfig) -> Objects.requireNonNull(modules.get(path)).qconfig(qconfig));
        return new GraphModule(new Graph(graph.inputs(), nodes, outputs), modules);
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
        Observer observer = factory(value).make();
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
            if (node instanceof ModuleCall call && configurations.containsKey(call.path())) {
                return configurations.getOrDefault(call.path(), rest).activation();
            }
        }
        return rest.activation();
    }
}
