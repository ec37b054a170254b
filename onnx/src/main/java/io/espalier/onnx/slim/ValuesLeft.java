package io.espalier.onnx.slim;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.shape.Shapes;
import io.espalier.slim.ChannelValue;
import io.espalier.slim.Cut;
import io.espalier.tensor.Internal;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.IntStream;

/** What is left of the values inside a model that has lost channels. */
@Internal
public final class ValuesLeft {
    /** Of no value anything is gone. */
    static final ValuesLeft ALL = new ValuesLeft(Map.of(), Set.of());

    private final Map<String, List<Kept>> narrowed;
    private final Set<String> turned;

    private ValuesLeft(Map<String, List<Kept>> narrowed, Set<String> turned) {
        this.narrowed = narrowed;
        this.turned = turned;
    }

    /** What is left along one dimension. */
    @SuppressWarnings("ArrayRecordComponent") // Never compared.
    private record Kept(int dimension, long extent, int[] indices) {}

    /**
     * Of a model's values.
     *
     * @param gone what it has lost
     * @param turned what stands for other axes than before
     */
    static ValuesLeft of(Analysis analysis, Cut gone, Cut turned) {
        Map<String, List<Kept>> narrowed = new LinkedHashMap<>();
        Set<String> other = new HashSet<>();
        for (OnnxNode node : analysis.graph().nodes()) {
            for (String name : node.outputs()) {
                ChannelValue value = analysis.values().get(name);
                if (value == null) {
                    continue;
                }
                if (value.axes().stream().anyMatch(turned::cuts)) {
                    other.add(name);
                } else if (value.axes().stream().anyMatch(gone::cuts)) {
                    narrowed.put(name, kept(value, gone));
                }
            }
        }
        return new ValuesLeft(narrowed, other);
    }

    private static List<Kept> kept(ChannelValue value, Cut gone) {
        List<Kept> kept = new ArrayList<>();
        for (int d = 0; d < value.rank(); d++) {
            if (gone.cuts(value.axes().get(d))) {
                long extent = value.extents()[d];
                int[] indices = gone.kept(value.axes().get(d), Math.toIntExact(extent));
                kept.add(new Kept(d, extent, indices));
            }
        }
        return kept;
    }

    /**
     * A teacher that computes the same, whose values inside are as wide as those that are left and
     * of the same channels; what stands for other axes by now has other names in it.
     */
    public OnnxModel of(OnnxModel teacher) {
        Shapes shapes = Shapes.of(teacher);
        var sizes = new FreeSizes();
        return teacher.rewritten(graph -> {
            turned.stream()
                    .filter(value -> isInside(graph, value))
                    .forEach(value -> graph.rename(value, graph.freshName(value + "_before")));
            narrowed.forEach((value, kept) -> {
                if (isInside(graph, value) && areAlong(sizes.numbers(shapes.shape(value)), kept)) {
                    narrow(graph, value, kept);
                }
            });
        });
    }

    private static boolean isInside(OnnxGraph graph, String value) {
        return graph.producer(value) != null && !graph.isOutput(value);
    }

    private static boolean areAlong(long @Nullable [] extents, List<Kept> kept) {
        return extents != null
                && kept.stream()
                        .allMatch(one ->
                                one.dimension() < extents.length
                                        && extents[one.dimension()] == one.extent());
    }

    private static void narrow(OnnxGraph graph, String value, List<Kept> kept) {
        String whole = graph.freshName(value + "_whole");
        graph.rename(value, whole);
        String from = whole;
        for (int i = 0; i < kept.size(); i++) {
            String to = i == kept.size() - 1 ? value : graph.freshName(value + "_part");
            long[] left = IntStream.of(kept.get(i).indices()).asLongStream().toArray();
            String indices =
                    graph.addConstant(
                            value + "_kept",
                            ConstantTensor.longs(List.of((long) left.length), left));
            graph.add(
                    OnnxNode.of("Gather", List.of(from, indices), to)
                            .with("axis", kept.get(i).dimension())
                            // Later parts of a slimming narrow the same value again.
                            .withName(""));
            from = to;
        }
    }
}
