package io.espalier.onnx.slim;

import io.espalier.onnx.fit.LayerBiases;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.slim.Group;

import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** The layers in which channels of groups end and that can be weighed, in the graph's order. */
final class LayerReaders {
    private final List<ReadingLayer> layers = new ArrayList<>();
    private final Map<Group, List<ReadingLayer>> byGroup = new LinkedHashMap<>();

    /**
     * Finds them.
     *
     * @param ends where channels end
     * @param changed constants that have other values than the model's
     */
    LayerReaders(
            OnnxModel model,
            List<End> ends,
            Collection<Group> groups,
            Map<String, ConstantTensor> changed) {
        OnnxGraph graph = model.graph();
        var biases =
                new LayerBiases(graph, changed, name -> true, name -> graph.producer(name) != null);
        for (End end : ends) {
            ReadingLayer.of(graph, end, biases)
                    .filter(layer -> isNeeded(layer, groups))
                    .ifPresent(layers::add);
        }
    }

    private boolean isNeeded(ReadingLayer layer, Collection<Group> groups) {
        boolean needed = false;
        for (Group group : groups) {
            if (layer.reads(group)) {
                byGroup.computeIfAbsent(group, k -> new ArrayList<>()).add(layer);
                needed = true;
            }
        }
        return needed;
    }

    /** All of them. */
    List<ReadingLayer> layers() {
        return layers;
    }

    /** The groups that some of them read. */
    Set<Group> groups() {
        return byGroup.keySet();
    }

    /** Those that read a group. */
    List<ReadingLayer> of(Group group) {
        return byGroup.getOrDefault(group, List.of());
    }
}
