package io.espalier.onnx.slim;

import io.espalier.onnx.compare.Padding;
import io.espalier.onnx.fit.ReferenceStream;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.slim.Group;
import io.espalier.slim.GroupReaders;
import io.espalier.slim.Place;
import io.espalier.slim.Unit;

import org.bytedeco.pytorch.Tensor;

import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Chooses units by what is lost in the layers that read them, in the order of the graph: each layer
 * is given what the layers before it give that have lost theirs. A group is decided on when all
 * that reads it has been seen; until then all of it is given.
 */
final class LayerwiseChoice implements AutoCloseable {
    private final OnnxModel model;
    private final Map<Group, Integer> widths;
    private final Set<String> differing;
    private final boolean solves;
    private final List<Padding> padding;
    private final OnnxModel without;
    private final List<Map<String, Tensor>> data;
    private final Set<Place> unweighed;
    private final GroupReaders<ReadingLayer> readers;
    private final GroupReaders<ReadingLayer>.Pass onTheWay;
    private final Map<String, ConstantTensor> changed = new HashMap<>();
    private final List<Unit> gone = new ArrayList<>();

    /** Layers from this one on were given something else than they get in the end. */
    private int settled;

    /**
     * Prepares.
     *
     * @param without the model without the blocks that are left out and without what is gone, as
     *     wide as it is
     * @param analysis of the model
     * @param widths how many units of each group stay
     * @param solves whether what stays makes up for what goes
     */
    LayerwiseChoice(
            OnnxModel model,
            OnnxModel without,
            Analysis analysis,
            Map<Group, Integer> widths,
            boolean solves,
            List<Map<String, Tensor>> data) {
        this.model = model;
        this.widths = widths;
        differing = differing(model, without);
        this.solves = solves;
        padding = data.stream().map(Padding::of).toList();
        this.without = without;
        this.data = data;
        readers = ReadingLayer.readers(without, analysis.ends(), widths.keySet());
        unweighed = analysis.places();
        readers.layers().forEach(layer -> unweighed.remove(layer.place()));
        settled = readers.layers().size();
        onTheWay = readers.pass(widths);
    }

    /** Values that come out otherwise, since something is gone before them. */
    private static Set<String> differing(OnnxModel model, OnnxModel without) {
        Set<String> differing = new HashSet<>();
        for (OnnxNode node : without.graph().nodes()) {
            OnnxNode before = model.graph().producer(node.output());
            if (before == null
                    || !before.inputs().equals(node.inputs())
                    || !Collections.disjoint(differing, node.reads())
                    || node.reads().stream().anyMatch(name -> isOther(model, without, name))) {
                differing.addAll(node.outputs());
            }
        }
        return differing;
    }

    private static boolean isOther(OnnxModel model, OnnxModel without, String constant) {
        return model.graph().constant(constant) != without.graph().constant(constant);
    }

    /** Decides on all groups that are known, and tells how many of how many layers are done. */
    void run(Slimming.Listener listener) {
        List<ReadingLayer> layers = readers.layers();
        try (var given = new ReferenceStream(without, data);
                var wanted = wanted(layers)) {
            for (ReadingLayer layer : layers) {
                listener.at("weighing layers", layers.indexOf(layer), layers.size());
                onTheWay.hold(List.of(layer));
                look(layer, given, wanted);
                onTheWay.seen(
                        group -> decide(group, given),
                        seen -> {
                            finish(seen, given);
                            if (seen != layer) {
                                settled = Math.min(settled, layers.indexOf(seen));
                            }
                        });
            }
        }
        if (solves && !gone.isEmpty()) {
            solveAgain(layers.subList(settled, layers.size()), listener);
        }
    }

    private OnnxModel with(OnnxModel other) {
        return other.rewritten(graph -> changed.forEach(graph::setConstant));
    }

    private ReferenceStream wanted(List<ReadingLayer> layers) {
        var wanted = new ReferenceStream(model, data);
        layers.forEach(layer -> wanted.hold(layer.target()));
        return wanted;
    }

    private void look(ReadingLayer layer, ReferenceStream given, ReferenceStream wanted) {
        layer.take(given, wanted, padding, solves);
        wanted.release(layer.target());
    }

    /** Solves layers for what they are given now, without the units that are gone. */
    private void solveAgain(List<ReadingLayer> layers, Slimming.Listener listener) {
        try (var given = new ReferenceStream(with(without), data);
                var wanted = wanted(layers)) {
            for (ReadingLayer layer : layers) {
                listener.at("solving layers again", layers.indexOf(layer), layers.size());
                onTheWay.hold(List.of(layer));
                look(layer, given, wanted);
                readers.take(layer, gone);
                onTheWay.seen(group -> {}, seen -> finish(seen, given));
            }
        }
    }

    private void finish(ReadingLayer layer, ReferenceStream given) {
        // Before anything is gone there is nothing to make up for.
        if (!gone.isEmpty() || differing.contains(layer.node().output())) {
            change(layer.constants(model.graph(), solves), given);
        }
    }

    private void change(Map<String, ConstantTensor> constants, ReferenceStream given) {
        constants.forEach(given::setConstant);
        changed.putAll(constants);
    }

    private void decide(Group group, ReferenceStream given) {
        int left = widths.getOrDefault(group, group.units().size());
        List<Unit> least = readers.leastLost(group, left);
        gone.addAll(least);
        Map<String, ConstantTensor> zeroed =
                WithoutUnits.constants(with(without).graph(), least, unweighed::contains);
        if (!zeroed.isEmpty()) {
            change(zeroed, given);
            // Layers that can't be weighed may stand before any of those that can.
            settled = 0;
        }
    }

    /** What goes of the groups that are known. */
    List<Unit> gone() {
        return gone;
    }

    /** The model with other weights, as wide as it was: zeros where inputs are gone. */
    OnnxModel solved() {
        return with(model);
    }

    @Override
    public void close() {
        onTheWay.close();
    }
}
