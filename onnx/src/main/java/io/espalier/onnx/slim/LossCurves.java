package io.espalier.onnx.slim;

import io.espalier.onnx.compare.Padding;
import io.espalier.onnx.fit.ReferenceStream;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.slim.Elimination;
import io.espalier.slim.Group;
import io.espalier.slim.InputCosts;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.ToDoubleFunction;

/**
 * What the layers that read a group lose as its units go one after another, each group by itself in
 * a model that is whole otherwise.
 */
final class LossCurves {
    /** The share of a group's units that are gone where it is looked at what results lose. */
    private static final double PROBED = 0.25;

    /** What is lost in rounding at a quarter gone may well be seen at seven eighths. */
    private static final double LEAST_DROP = 1e-7;

    /** Groups don't get narrower than this share of what they were. */
    private static final double LEAST = 0.125;

    private final OnnxModel model;
    private final LayerReaders readers;
    private final ToDoubleFunction<OnnxModel> drop;
    private final boolean solves;
    private final Map<Group, LossCurve> curves = new LinkedHashMap<>();
    private final List<ReadingLayer> open = new ArrayList<>();

    /**
     * Prepares.
     *
     * @param drop how far a model's results are from the float model's
     * @param solves whether what stays makes up for what goes
     */
    LossCurves(
            OnnxModel model,
            LayerReaders readers,
            boolean solves,
            ToDoubleFunction<OnnxModel> drop) {
        this.model = model;
        this.readers = readers;
        this.drop = drop;
        this.solves = solves;
    }

    /** The curves of all groups that layers read which can be weighed. */
    Map<Group, LossCurve> of(List<Map<String, Tensor>> data, Slimming.Listener listener) {
        List<Padding> padding = data.stream().map(Padding::of).toList();
        List<Group> left = new ArrayList<>(readers.groups());
        try (var stream = new ReferenceStream(model, data)) {
            int done = 0;
            for (ReadingLayer layer : readers.layers()) {
                stream.hold(layer.node().input(0));
                stream.hold(layer.target());
            }
            for (ReadingLayer layer : readers.layers()) {
                listener.at("finding what widths lose", done++, readers.layers().size());
                layer.take(stream, stream, padding, solves);
                stream.release(layer.node().input(0));
                stream.release(layer.target());
                open.add(layer);
                for (Group group : List.copyOf(left)) {
                    List<ReadingLayer> all = readers.of(group);
                    if (open.containsAll(all)) {
                        left.remove(group);
                        curves.put(group, curve(group, all, left));
                    }
                }
                closeAllBut(left);
            }
        } finally {
            closeAllBut(List.of());
        }
        return curves;
    }

    private void closeAllBut(List<Group> left) {
        for (ReadingLayer layer : List.copyOf(open)) {
            if (left.stream().noneMatch(layer::reads)) {
                layer.close();
                open.remove(layer);
            }
        }
    }

    private LossCurve curve(Group group, List<ReadingLayer> all, List<Group> left) {
        Map<ReadingLayer, InputCosts> costs = new LinkedHashMap<>();
        List<InputCosts> copies = new ArrayList<>();
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            for (ReadingLayer layer : all) {
                InputCosts own = layer.costs();
                if (left.stream().anyMatch(layer::reads)) {
                    own = own.copy();
                    copies.add(own);
                }
                costs.put(layer, own);
            }
            return curve(group, costs);
        } finally {
            copies.forEach(InputCosts::close);
        }
    }

    private LossCurve curve(Group group, Map<ReadingLayer, InputCosts> costs) {
        Map<InputCosts, Tensor> inputs = new LinkedHashMap<>();
        costs.forEach((layer, own) -> inputs.put(own, layer.inputs(group)));
        var elimination = new Elimination(group, inputs, Elimination.Pace.BRISK);
        int count = group.units().size();
        double[] losses = new double[count];
        Arrays.fill(losses, Double.POSITIVE_INFINITY);
        losses[0] = 0;
        int least = Math.max(1, (int) (LEAST * count));
        int probed = Math.max(1, (int) Math.round(PROBED * count));
        double factor = 1;
        for (int gone = 0; gone < count - least; ) {
            int most = gone < probed ? probed - gone : count - least - gone;
            double loss = elimination.next(most);
            int together = elimination.order().size() - gone;
            for (int i = 1; i <= together; i++) {
                losses[gone + i] = losses[gone] + loss * i / together;
            }
            gone += together;
            if (gone == probed && losses[gone] > 0) {
                double seen = Math.max(probe(costs), Math.min(LEAST_DROP, losses[gone]));
                factor = seen / losses[gone];
            }
        }
        String words = solves ? "second order" : "activations";
        return new LossCurve(elimination.order(), losses, words).times(factor);
    }

    /** What the results lose by what is gone of one group. */
    private double probe(Map<ReadingLayer, InputCosts> costs) {
        Map<String, ConstantTensor> changed = new HashMap<>();
        costs.forEach((layer, own) -> changed.putAll(layer.constants(own, model.graph(), solves)));
        return drop.applyAsDouble(model.rewritten(graph -> changed.forEach(graph::setConstant)));
    }
}
