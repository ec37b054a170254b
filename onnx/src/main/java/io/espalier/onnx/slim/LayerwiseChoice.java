package io.espalier.onnx.slim;

import io.espalier.onnx.compare.Padding;
import io.espalier.onnx.fit.ReferenceStream;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.slim.Group;
import io.espalier.slim.GroupReaders;
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
    private final ReferenceStream given;
    private final ReferenceStream wanted;
    private final GroupReaders<ReadingLayer> readers;
    private final GroupReaders<ReadingLayer>.Pass onTheWay;
    private final Map<String, ConstantTensor> changed = new HashMap<>();
    private final List<Unit> gone = new ArrayList<>();

    /**
     * Prepares.
     *
     * @param without the model without the blocks that are left out and without what is gone, as
     *     wide as it is
     * @param ends where channels end
     * @param widths how many units of each group stay
     * @param solves whether what stays makes up for what goes
     */
    LayerwiseChoice(
            OnnxModel model,
            OnnxModel without,
            List<End> ends,
            Map<Group, Integer> widths,
            boolean solves,
            List<Map<String, Tensor>> data) {
        this.model = model;
        this.widths = widths;
        differing = differing(model, without);
        this.solves = solves;
        padding = data.stream().map(Padding::of).toList();
        given = new ReferenceStream(without, data);
        wanted = new ReferenceStream(model, data);
        readers = ReadingLayer.readers(without, ends, widths.keySet(), changed);
        onTheWay = readers.pass(widths);
        readers.layers().forEach(layer -> wanted.hold(layer.target()));
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

    /** Whether some layer that reads a group can be weighed. */
    boolean knows(Group group) {
        return readers.groups().contains(group);
    }

    /** Decides on all groups that are known, and tells how many of how many layers are done. */
    void run(Slimming.Listener listener) {
        int done = 0;
        for (ReadingLayer layer : readers.layers()) {
            listener.at("weighing layers", done++, readers.layers().size());
            onTheWay.hold(List.of(layer));
            layer.take(given, wanted, padding, solves);
            wanted.release(layer.target());
            onTheWay.seen(this::decide, this::finish);
        }
    }

    private void finish(ReadingLayer layer) {
        // Before anything is gone there is nothing to make up for.
        if (!gone.isEmpty() || differing.contains(layer.node().output())) {
            Map<String, ConstantTensor> constants = layer.constants(model.graph(), solves);
            constants.forEach(given::setConstant);
            changed.putAll(constants);
        }
    }

    private void decide(Group group) {
        int left = widths.getOrDefault(group, group.units().size());
        gone.addAll(readers.leastLost(group, left));
    }

    /** What goes of the groups that are known. */
    List<Unit> gone() {
        return gone;
    }

    /** The model with other weights, as wide as it was: zeros where inputs are gone. */
    OnnxModel solved() {
        return model.rewritten(graph -> changed.forEach(graph::setConstant));
    }

    @Override
    public void close() {
        onTheWay.close();
        given.close();
        wanted.close();
    }
}
