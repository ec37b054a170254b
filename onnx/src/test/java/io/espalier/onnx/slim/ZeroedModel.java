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
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.stream.IntStream;
import java.util.stream.LongStream;

/**
 * A model in which channels are there and count for nothing: their weights are zero, and layer
 * normalizations, means and extremes are those of the others.
 */
public final class ZeroedModel {
    private static final Set<String> REDUCTIONS = Set.of("ReduceMean", "ReduceMax", "ReduceMin");

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
            } else if (REDUCTIONS.contains(node.op())) {
                reducing(graph, node);
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

    /** A mean of zeros too, or the largest or least of all, made one of the others. */
    private void reducing(OnnxGraph graph, OnnxNode node) {
        ChannelValue value = analysis.value(node.input(0));
        if (value == null) {
            return;
        }
        int rank = value.rank();
        ConstantTensor axes = graph.constant(node.input(1));
        LongStream reduced =
                axes == null
                        ? node.integers("axes").stream().mapToLong(Long::longValue)
                        : LongStream.of(axes.toLongs());
        double factor = 1;
        String rest = node.input(0);
        for (int d : reduced.mapToInt(d -> (int) (d < 0 ? d + rank : d)).toArray()) {
            Axis axis = value.axes().get(d);
            int extent = (int) value.extents()[d];
            if (choice.cuts(axis)) {
                factor *= (double) extent / choice.kept(axis, extent).length;
                float out = node.is("ReduceMin") ? 1e30f : node.is("ReduceMax") ? -1e30f : 0;
                String there = graph.addConstant("there", mask(axis, extent, rank - d, 1, 0));
                String gone = graph.addConstant("gone", mask(axis, extent, rank - d, 0, out));
                rest = add(graph, "Add", add(graph, "Mul", rest, there), gone);
            }
        }
        if (rest.equals(node.input(0))) {
            return;
        }
        float times = node.is("ReduceMean") ? (float) factor : 1;
        String by = graph.addConstant("factor", ConstantTensor.scalar(times));
        String result = graph.freshName("reduced");
        graph.replace(
                node,
                node.withInput(0, rest).withOutputs(List.of(result)),
                OnnxNode.of("Mul", List.of(result, by), node.output()));
    }

    /** Along a dimension that so many are counted from to the last. */
    private ConstantTensor mask(Axis axis, int extent, int dimensions, float kept, float gone) {
        var mask = new float[extent];
        Arrays.fill(mask, gone);
        IntStream.of(choice.kept(axis, extent)).forEach(i -> mask[i] = kept);
        List<Long> shape = new ArrayList<>(Collections.nCopies(dimensions, 1L));
        shape.set(0, (long) extent);
        return ConstantTensor.floats(shape, mask);
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
        String m = graph.addConstant("mask", mask(channels, extent, 1, 1, 0));
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
