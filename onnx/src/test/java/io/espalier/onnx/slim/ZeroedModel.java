package io.espalier.onnx.slim;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.slim.Axis;
import io.espalier.slim.ChannelValue;
import io.espalier.slim.Cut;
import io.espalier.slim.Place;

import java.lang.foreign.MemorySegment;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.stream.IntStream;
import java.util.stream.LongStream;

/**
 * A model in which channels are there and count for nothing: their weights are zero, and layer
 * normalizations take their means over the others.
 */
public final class ZeroedModel {
    private final Analysis analysis;
    private final Cut choice;

    private ZeroedModel(Analysis analysis, Cut choice) {
        this.analysis = analysis;
        this.choice = choice;
    }

    /** The slimmer's model with what is chosen zeroed instead of removed. */
    public static OnnxModel of(OnnxSlimmer slimmer, Cut choice) {
        var zeroed = new ZeroedModel(slimmer.analysis(), choice);
        return slimmer.model().rewritten(zeroed::rewrite);
    }

    /** The slimmer's model in which layers compute nothing but their biases for what is chosen. */
    public static OnnxModel withoutProducers(OnnxSlimmer slimmer, Cut choice) {
        return new ZeroedModel(slimmer.analysis(), choice).zeroed(slimmer.model(), false);
    }

    /** The slimmer's model in which layers multiply by zero what is chosen. */
    public static OnnxModel withoutReaders(OnnxSlimmer slimmer, Cut choice) {
        return new ZeroedModel(slimmer.analysis(), choice).zeroed(slimmer.model(), true);
    }

    private OnnxModel zeroed(OnnxModel model, boolean readers) {
        Set<Place> read = new HashSet<>();
        for (End end : analysis.ends()) {
            for (End.Side side : new End.Side[] {end.one(), end.other()}) {
                if (side != null) {
                    read.add(new Place(end.node().input(side.operand()), side.dimension()));
                }
            }
        }
        return model.rewritten(graph ->
                analysis.values()
                        .forEach((name, value) -> {
                            ConstantTensor constant = graph.constant(name);
                            if (value == null || constant == null || value.rank() < 2) {
                                return;
                            }
                            List<Axis> axes =
                                    IntStream.range(0, value.rank())
                                            .mapToObj(d ->
                                                    read.contains(new Place(name, d)) == readers
                                                            ? value.axes().get(d)
                                                            : Axis.PLAIN)
                                            .toList();
                            graph.setConstant(
                                    name,
                                    zeroed(constant, new ChannelValue(axes, value.extents())));
                        }));
    }

    private void rewrite(OnnxGraph graph) {
        analysis.values()
                .forEach((name, value) -> {
                    ConstantTensor constant = graph.constant(name);
                    if (value != null
                            && constant != null
                            && graph.readers(name).stream().noneMatch(n -> isVariance(n, name))
                            && value.axes().stream().anyMatch(choice::cuts)) {
                        graph.setConstant(name, zeroed(constant, value));
                    }
                });
        for (OnnxNode node : graph.nodes()) {
            if (node.is("LayerNormalization")) {
                masked(graph, node);
            } else if (node.is("ReduceMean") && analysis.value(node.input(0)) != null) {
                rescaled(graph, node);
            }
        }
    }

    /** A normalization divides by it; its scale is zero. */
    private static boolean isVariance(OnnxNode node, String value) {
        return node.is("BatchNormalization") && node.input(4).equals(value);
    }

    private ConstantTensor zeroed(ConstantTensor constant, ChannelValue value) {
        var bytes = MemorySegment.ofArray(new byte[(int) constant.byteSize()]);
        bytes.copyFrom(constant.bytes());
        long inner = constant.byteSize();
        for (int d = 0; d < value.rank(); d++) {
            int extent = (int) value.extents()[d];
            long block = inner;
            inner /= extent;
            Axis axis = value.axes().get(d);
            for (int i = 0; choice.cuts(axis) && i < extent; i++) {
                boolean kept = choice.isKept(axis, i);
                for (long at = i * inner; !kept && at < bytes.byteSize(); at += block) {
                    bytes.asSlice(at, inner).fill((byte) 0);
                }
            }
        }
        return constant.withBytes(bytes);
    }

    /** A mean of zeros too, made one of the others. */
    private void rescaled(OnnxGraph graph, OnnxNode node) {
        ChannelValue value = Objects.requireNonNull(analysis.value(node.input(0)));
        Axis channels = value.axes().getLast();
        ConstantTensor axes = graph.constant(node.input(1));
        List<Long> reduced =
                axes == null
                        ? node.integers("axes")
                        : LongStream.of(axes.toLongs()).boxed().toList();
        boolean last = reduced.contains(-1L) || reduced.contains(value.rank() - 1L);
        if (!last || !choice.cuts(channels)) {
            return;
        }
        long extent = value.extents()[value.rank() - 1];
        float factor = (float) extent / choice.extent(channels, extent);
        String by = graph.addConstant("factor", ConstantTensor.scalar(factor));
        String mean = graph.freshName("mean");
        graph.replace(
                node,
                node.withOutputs(List.of(mean)),
                OnnxNode.of("Mul", List.of(mean, by), node.output()));
    }

    private void masked(OnnxGraph graph, OnnxNode node) {
        ChannelValue value = Objects.requireNonNull(analysis.value(node.input(0)));
        int rank = value.rank();
        long axis = node.integer("axis", -1);
        Axis channels = value.axes().getLast();
        if (!choice.cuts(channels) || (axis != -1 && axis != rank - 1)) {
            return;
        }
        int extent = (int) value.extents()[rank - 1];
        var mask = new float[extent];
        IntStream.of(choice.kept(channels, extent)).forEach(i -> mask[i] = 1);
        String m = graph.addConstant("mask", ConstantTensor.floats(List.of((long) extent), mask));
        String count =
                graph.addConstant(
                        "count", ConstantTensor.scalar(choice.kept(channels, extent).length));
        String epsilon =
                graph.addConstant("eps", ConstantTensor.scalar(node.number("epsilon", 1e-5f)));
        String axes = graph.addConstant("axes", ConstantTensor.longs(List.of(1L), -1));
        String x = add(graph, "Mul", node.input(0), m);
        String mean = add(graph, "Div", add(graph, "ReduceSum", x, axes), count);
        String d = add(graph, "Mul", add(graph, "Sub", x, mean), m);
        String sum = add(graph, "ReduceSum", add(graph, "Mul", d, d), axes);
        String deviation =
                add(graph, "Sqrt", add(graph, "Add", add(graph, "Div", sum, count), epsilon));
        String y = add(graph, "Mul", add(graph, "Div", d, deviation), node.input(1));
        OnnxNode last =
                node.input(2).isEmpty()
                        ? OnnxNode.of("Identity", List.of(y), node.output())
                        : OnnxNode.of("Add", List.of(y, node.input(2)), node.output());
        graph.replace(node, last);
    }

    private static String add(OnnxGraph graph, String op, String... inputs) {
        String name = graph.freshName("masked_" + op);
        graph.add(OnnxNode.of(op, List.of(inputs), name));
        return name;
    }
}
