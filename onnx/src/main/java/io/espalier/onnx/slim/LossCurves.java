package io.espalier.onnx.slim;

import io.espalier.onnx.compare.Padding;
import io.espalier.onnx.fit.ReferenceStream;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.slim.Group;
import io.espalier.slim.GroupReaders;
import io.espalier.slim.InputCosts;
import io.espalier.slim.LayerCurves;
import io.espalier.slim.LossCurve;
import io.espalier.slim.Unit;

import org.bytedeco.pytorch.Tensor;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.ToDoubleFunction;

/** What the layers that read a group of a file lose as its units go. */
final class LossCurves {
    private final OnnxSlimmer of;
    private final OnnxModel model;
    private final GroupReaders<ReadingLayer> readers;
    private final ToDoubleFunction<OnnxModel> drop;
    private final boolean solves;

    /**
     * Prepares.
     *
     * @param drop how far a model's results are from the float model's
     * @param solves whether what stays makes up for what goes
     */
    LossCurves(
            OnnxSlimmer of,
            GroupReaders<ReadingLayer> readers,
            boolean solves,
            ToDoubleFunction<OnnxModel> drop) {
        this.of = of;
        this.model = of.model();
        this.readers = readers;
        this.drop = drop;
        this.solves = solves;
    }

    /** The curves of all groups that layers read which can be weighed. */
    Map<Group, LossCurve> of(List<Map<String, Tensor>> data, Slimming.Listener listener) {
        List<Padding> padding = data.stream().map(Padding::of).toList();
        var curves =
                new LayerCurves<>(readers, this::probe, solves ? "second order" : "activations");
        try (var stream = new ReferenceStream(model, data)) {
            for (ReadingLayer layer : readers.layers()) {
                stream.hold(layer.node().input(0));
                stream.hold(layer.target());
            }
            return curves.of(
                    layer -> {
                        layer.take(stream, stream, padding, solves);
                        stream.release(layer.node().input(0));
                        stream.release(layer.target());
                    },
                    listener::at);
        }
    }

    /** What the results lose without units of one group, layers having the weights left. */
    private double probe(Map<ReadingLayer, InputCosts> costs, List<Unit> gone) {
        Map<String, ConstantTensor> changed = new HashMap<>();
        costs.forEach((layer, own) -> changed.putAll(layer.constants(own, model.graph(), solves)));
        OnnxModel solved = model.rewritten(graph -> changed.forEach(graph::setConstant));
        return drop.applyAsDouble(of.remove(of.leavingSome(gone), solved));
    }
}
