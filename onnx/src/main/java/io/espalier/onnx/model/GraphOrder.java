package io.espalier.onnx.model;

import io.espalier.tensor.EspalierException;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.Set;

/** The order in which a graph's nodes can be computed: as near to the given one as it may be. */
final class GraphOrder {
    private GraphOrder() {}

    /** Nodes by their places, none before one whose result it reads. */
    static List<OnnxNode> sort(OnnxGraph graph, Map<OnnxNode, Double> places) {
        var waitsFor = new HashMap<OnnxNode, Integer>();
        var next = new HashMap<OnnxNode, List<OnnxNode>>();
        var rank = new HashMap<OnnxNode, Integer>();
        for (OnnxNode node : places.keySet()) {
            rank.put(node, rank.size());
            Set<OnnxNode> makers = new HashSet<>();
            for (String read : node.reads()) {
                OnnxNode maker = graph.producer(read);
                if (maker != null) {
                    makers.add(maker);
                }
            }
            waitsFor.put(node, makers.size());
            makers.forEach(maker -> next.computeIfAbsent(maker, k -> new ArrayList<>()).add(node));
        }
        var ready =
                new PriorityQueue<OnnxNode>(
                        Comparator.<OnnxNode>comparingDouble(places::get).thenComparing(rank::get));
        waitsFor.forEach((node, count) -> {
            if (count == 0) {
                ready.add(node);
            }
        });
        var sorted = new ArrayList<OnnxNode>();
        while (!ready.isEmpty()) {
            OnnxNode node = ready.remove();
            sorted.add(node);
            for (OnnxNode reader : next.getOrDefault(node, List.of())) {
                if (waitsFor.merge(reader, -1, Integer::sum) == 0) {
                    ready.add(reader);
                }
            }
        }
        if (sorted.size() < places.size()) {
            var waiting = new ArrayList<>(places.keySet());
            waiting.removeAll(new HashSet<>(sorted));
            throw new EspalierException(
                    "The graph goes in a circle: "
                            + waiting.getFirst().name()
                            + " needs its own result.");
        }
        return sorted;
    }

    /** Refuses a graph in which something is read that nobody makes. */
    static void check(OnnxGraph graph) {
        var known = new HashSet<>(graph.given());
        for (OnnxNode node : graph.nodes()) {
            for (String read : node.inputs()) {
                if (!read.isEmpty() && !known.contains(read)) {
                    throw new EspalierException(
                            "%s reads '%s', which no node makes and the graph is not given."
                                    .formatted(node.name(), read));
                }
            }
            known.addAll(node.outputs());
        }
        graph.outputs().stream()
                .filter(output -> !known.contains(output.getName()))
                .findFirst()
                .ifPresent(output -> {
                    throw new EspalierException(
                            "The graph should give '"
                                    + output.getName()
                                    + "', which no node makes.");
                });
    }
}
