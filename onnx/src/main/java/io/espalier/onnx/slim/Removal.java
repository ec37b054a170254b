package io.espalier.onnx.slim;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.shape.Shapes;
import io.espalier.slim.Axis;
import io.espalier.slim.ChannelValue;
import io.espalier.slim.Cut;
import io.espalier.tensor.EspalierException;

import org.jspecify.annotations.Nullable;

import java.util.Arrays;
import java.util.Optional;

/** A model without some of its channels. */
final class Removal {
    private final Analysis analysis;
    private final Cut choice;

    Removal(Analysis analysis, Cut choice) {
        this.analysis = analysis;
        this.choice = choice;
    }

    /**
     * What is left, checked: all extents are those that the channels left say.
     *
     * @throws EspalierException if nothing of a value would be left
     */
    OnnxModel from(OnnxModel model) {
        if (emptied().isPresent()) {
            throw new EspalierException(
                    "Nothing of a value would be left; keep one of its channels at least.");
        }
        OnnxModel slim = model.rewritten(this::cut);
        Shapes shapes = Shapes.of(slim);
        analysis.values()
                .forEach((name, value) -> {
                    if (value != null && slim.graph().has(name)) {
                        requireExtents(name, value, analysis.extents(name, shapes));
                    }
                });
        return slim;
    }

    private void cut(OnnxGraph graph) {
        analysis.values()
                .forEach((name, value) -> {
                    if (value != null && isCut(value)) {
                        graph.forgetType(name);
                        ConstantTensor constant = graph.constant(name);
                        if (constant != null) {
                            graph.setConstant(name, left(constant, value));
                        }
                    }
                });
        analysis.rewrites()
                .forEach((node, rewrites) -> {
                    OnnxNode rewritten = node;
                    for (Rewrite rewrite : rewrites) {
                        rewritten = rewrite.of(rewritten, graph, choice);
                    }
                    if (!rewritten.toProto().equals(node.toProto())) {
                        graph.replace(node, rewritten);
                    }
                });
        graph.removeUnused();
    }

    private boolean isCut(ChannelValue value) {
        return value.axes().stream().anyMatch(choice::cuts);
    }

    private ConstantTensor left(ConstantTensor constant, ChannelValue value) {
        ConstantTensor left = constant;
        for (int d = 0; d < value.rank(); d++) {
            Axis axis = value.axes().get(d);
            if (choice.cuts(axis)) {
                int[] kept = choice.kept(axis, Math.toIntExact(value.extents()[d]));
                left = Slices.keep(left, d, kept);
            }
        }
        return left;
    }

    private long[] left(ChannelValue value) {
        long[] left = value.extents().clone();
        for (int d = 0; d < left.length; d++) {
            left[d] = choice.extent(value.axes().get(d), left[d]);
        }
        return left;
    }

    /** A dimension of which nothing would be left; empty if there is none. */
    Optional<Axis> emptied() {
        for (ChannelValue value : analysis.values().values()) {
            for (int d = 0; value != null && d < value.rank(); d++) {
                Axis axis = value.axes().get(d);
                if (value.extents()[d] > 0 && choice.extent(axis, value.extents()[d]) == 0) {
                    return Optional.of(axis);
                }
            }
        }
        return Optional.empty();
    }

    private void requireExtents(String name, ChannelValue value, long @Nullable [] found) {
        long[] expected = left(value);
        if (found == null || !Arrays.equals(expected, found)) {
            throw new EspalierException(
                    ("'%s' would have extents %s where %s are needed; keep what it is made of,"
                                    + " which the groups name.")
                            .formatted(
                                    name,
                                    found == null ? "that are not known" : Arrays.toString(found),
                                    Arrays.toString(expected)));
        }
    }
}
