package io.espalier.onnx.slim;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.proto.ValueInfoProto;
import io.espalier.onnx.shape.Shapes;
import io.espalier.onnx.slim.End.Side;
import io.espalier.slim.Axis;
import io.espalier.slim.ChannelFlow;
import io.espalier.slim.ChannelValue;
import io.espalier.slim.Groups;
import io.espalier.slim.NotUnderstood;
import io.espalier.slim.Place;
import io.espalier.tensor.EspalierException;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.Set;
import java.util.stream.LongStream;

/** The channels along each dimension of each value of a graph, and what says how many there are. */
final class Analysis {
    private final OnnxGraph graph;
    private final long opset;
    private final Shapes shapes;
    private final FreeSizes sizes = new FreeSizes();
    private final ChannelFlow flow = new ChannelFlow();
    private final Map<String, @Nullable ChannelValue> values = new HashMap<>();
    private final SequencedMap<String, List<Axis>> constants = new LinkedHashMap<>();
    private final SequencedMap<OnnxNode, List<Rewrite>> rewrites = new LinkedHashMap<>();
    private final List<End> ends = new ArrayList<>();

    private Analysis(OnnxModel model) {
        graph = model.graph();
        opset = model.opset();
        shapes = Shapes.of(model);
    }

    /**
     * What becomes of the channels of a model's constants.
     *
     * @throws EspalierException if a node takes what doesn't fit together
     */
    static Analysis of(OnnxModel model) {
        var analysis = new Analysis(model);
        analysis.shapes.requireRunning("The model");
        analysis.graph.nodes().forEach(analysis::go);
        for (ValueInfoProto output : analysis.graph.outputs()) {
            analysis.pin(output.getName(), "'%s' is a result".formatted(output.getName()));
        }
        return analysis;
    }

    private void go(OnnxNode node) {
        Rule rule = node.subgraphs().isEmpty() ? Rules.of(node) : null;
        String why = "no rule";
        if (rule != null) {
            try {
                var call = new Call(node, flow, this);
                rule.apply(call);
                call.pinRest();
                return;
            } catch (NotUnderstood e) {
                why = String.valueOf(e.getMessage());
            }
        }
        rewrites.remove(node);
        ends.removeIf(end -> end.node() == node);
        String reason = "'%s' (%s) is not understood: %s".formatted(node.name(), node.op(), why);
        node.reads().forEach(read -> pin(read, reason));
        for (String output : node.outputs()) {
            values.remove(output);
        }
    }

    private void pin(String name, String reason) {
        ChannelValue value = value(name);
        if (value != null) {
            value.axes().forEach(axis -> flow.pin(axis, reason));
        }
    }

    OnnxGraph graph() {
        return graph;
    }

    long opset() {
        return opset;
    }

    /** Extents of a value, with a prime for each free size; null if its rank is not known. */
    long @Nullable [] extents(String value) {
        return sizes.numbers(shapes.shape(value));
    }

    /** What a value's elements are; those of floats if it is not known. */
    ElementType elements(String value) {
        ElementType known = shapes.elements(value);
        return known == null ? ElementType.FLOAT : known;
    }

    /** Integers that a value holds, with a prime for each free size; null if they are not known. */
    long @Nullable [] integers(String value) {
        return sizes.numbers(shapes.integers(value));
    }

    /** The sizes of values of another model that has the same free sizes. */
    long @Nullable [] extents(String value, Shapes of) {
        return sizes.numbers(of.shape(value));
    }

    /** What is known of a value; null if its rank is not. */
    @Nullable ChannelValue value(String name) {
        ChannelValue known = values.get(name);
        if (known != null) {
            return known;
        }
        long[] extents = extents(name);
        if (extents == null) {
            return null;
        }
        ConstantTensor constant = graph.constant(name);
        List<Axis> axes = Collections.nCopies(extents.length, Axis.PLAIN);
        if (constant != null && constant.type().isFloating()) {
            axes = LongStream.of(extents).mapToObj(flow::fresh).toList();
            constants.put(name, axes);
        }
        var value = new ChannelValue(axes, extents);
        values.put(name, value);
        return value;
    }

    void give(String name, List<Axis> axes, Call by) {
        long[] extents = extents(name);
        if (extents == null || extents.length != axes.size()) {
            axes.forEach(by::pin);
            throw new NotUnderstood("the extents of what it gives aren't known");
        }
        values.put(name, new ChannelValue(List.copyOf(axes), extents));
    }

    void ends(End end) {
        ends.add(end);
    }

    /** The dimensions of constants at which channels end. */
    Set<Place> places() {
        Set<Place> places = new HashSet<>();
        for (End end : ends) {
            Side other = end.other();
            places.add(new Place(end.node().input(end.one().operand()), end.one().dimension()));
            if (other != null) {
                places.add(new Place(end.node().input(other.operand()), other.dimension()));
            }
        }
        return places;
    }

    /** Where channels end. */
    List<End> ends() {
        return ends;
    }

    void rewrite(OnnxNode node, Rewrite rewrite) {
        rewrites.computeIfAbsent(node, k -> new ArrayList<>()).add(rewrite);
    }

    /** What changes of nodes when channels go. */
    SequencedMap<OnnxNode, List<Rewrite>> rewrites() {
        return rewrites;
    }

    /** All values whose rank is known, constants too, that a rule asked for or gave. */
    Map<String, @Nullable ChannelValue> values() {
        return values;
    }

    /** What can go. */
    Groups groups() {
        Map<String, long[]> lengths = new HashMap<>();
        for (String name : constants.keySet()) {
            ChannelValue value = values.get(name);
            if (value != null) {
                lengths.put(name, value.extents());
            }
        }
        return flow.groups(constants, lengths);
    }
}
