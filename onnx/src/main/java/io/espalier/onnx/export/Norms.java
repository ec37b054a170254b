package io.espalier.onnx.export;

import static io.espalier.onnx.export.OperatorTable.row;

import io.espalier.graph.GraphOperator;
import io.espalier.onnx.model.ConstantTensor;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/** Normalizations. */
final class Norms {
    /** What libtorch adds in a root mean square where nothing else is said. */
    private static final double RMS_EPSILON = Math.ulp(1f);

    private Norms() {}

    static void addTo(Map<GraphOperator, OperatorWriter> rows) {
        row(rows, GraphOperator.BATCH_NORM, Norms::batchNorm);
        row(
                rows,
                GraphOperator.LAYER_NORM,
                step ->
                        layerNorm(
                                step.draft(),
                                step.x(),
                                step.call().integers("normalized_shape"),
                                step.name(1),
                                step.name(2),
                                step.call().number("eps")));
        row(
                rows,
                GraphOperator.GROUP_NORM,
                step ->
                        groupNorm(
                                step.draft(),
                                step.x(),
                                step.seen(),
                                step.call().integer("num_groups"),
                                step.name(1),
                                step.name(2),
                                step.call().number("eps")));
        row(rows, GraphOperator.RMS_NORM, Norms::rmsNorm);
    }

    private static String batchNorm(Step step) {
        long channels = step.seen().extent(1);
        double eps = step.call().number("eps");
        boolean ofBatch = step.call().flag("training") || !step.has(3);
        return ofBatch
                ? ofBatch(step.draft(), step.x(), step.seen(), step.name(1), step.name(2), eps)
                : batchNorm(
                        step.draft(),
                        step.x(),
                        channels,
                        step.name(1),
                        step.name(2),
                        step.name(3),
                        step.name(4),
                        eps);
    }

    /** With running statistics. */
    static String batchNorm(
            Draft draft,
            String x,
            long channels,
            String weight,
            String bias,
            String mean,
            String variance,
            double eps) {
        return draft.node(
                "BatchNormalization",
                node -> node.with("epsilon", (float) eps),
                x,
                weight.isEmpty() ? filled(draft, channels, 1) : weight,
                bias.isEmpty() ? filled(draft, channels, 0) : bias,
                mean,
                variance);
    }

    /** With the batch's own statistics. */
    static String ofBatch(
            Draft draft, String x, Seen seen, String weight, String bias, double eps) {
        List<Long> axes = new ArrayList<>(List.of(0L));
        axes.addAll(Activations.range(2, seen.rank()));
        String normal = normalized(draft, x, seen, axes, eps);
        return affine(draft, normal, seen.rank(), weight, bias);
    }

    private static String normalized(
            Draft draft, String x, Seen seen, List<Long> axes, double eps) {
        String centred =
                draft.node("Sub", x, Reductions.reduce(draft, "ReduceMean", x, axes, true));
        String variance =
                Reductions.reduce(
                        draft, "ReduceMean", draft.node("Mul", centred, centred), axes, true);
        String deviation =
                draft.node("Sqrt", draft.node("Add", variance, draft.number(seen.type(), eps)));
        return draft.node("Div", centred, deviation);
    }

    static String layerNorm(
            Draft draft, String x, List<Long> shape, String weight, String bias, double eps) {
        long elements = shape.stream().reduce(1L, Math::multiplyExact);
        String scale =
                weight.isEmpty()
                        ? draft.constant("ones", filled(shape, Math.toIntExact(elements), 1))
                        : weight;
        return draft.node(
                "LayerNormalization",
                node -> node.with("axis", -shape.size()).with("epsilon", (float) eps),
                x,
                scale,
                bias);
    }

    /** Groups of channels of [N, C, …], each normalized by itself. */
    static String groupNorm(
            Draft draft, String x, Seen seen, long groups, String weight, String bias, double eps) {
        long channels = seen.extent(1);
        boolean each = groups == channels && seen.rank() > 2;
        if (each) {
            return draft.node(
                    "InstanceNormalization",
                    node -> node.with("epsilon", (float) eps),
                    x,
                    weight.isEmpty() ? filled(draft, channels, 1) : weight,
                    bias.isEmpty() ? filled(draft, channels, 0) : bias);
        }
        String grouped =
                draft.node("Reshape", x, grouped(draft, x, seen.rank(), groups, channels / groups));
        String normal =
                draft.node(
                        "InstanceNormalization",
                        node -> node.with("epsilon", (float) eps),
                        grouped,
                        filled(draft, groups, 1),
                        filled(draft, groups, 0));
        String back = draft.node("Reshape", normal, draft.node("Shape", x));
        return affine(draft, back, seen.rank(), weight, bias);
    }

    /** The shape [N, groups, …] of three dimensions, none left to be inferred: N may be 0. */
    private static String grouped(Draft draft, String x, int rank, long groups, long each) {
        if (rank == 2) {
            return draft.longs(0, groups, each);
        }
        var sizes = new Sizes(draft, Map.of());
        String numbers = draft.longs(each);
        for (int dim = 2; dim < rank; dim++) {
            numbers = draft.node("Mul", numbers, sizes.extent(x, dim));
        }
        // ONNX Runtime would make -1 of the last number of a Concat.
        String last = draft.node("Mul", numbers, draft.longs(0, 0, 1));
        return draft.node("Add", last, draft.longs(0, groups, 0));
    }

    /** {@code x · weight + bias} for each channel of [N, C, …]. */
    private static String affine(Draft draft, String x, int rank, String weight, String bias) {
        String scaled = weight.isEmpty() ? x : draft.node("Mul", x, byChannel(draft, weight, rank));
        return bias.isEmpty() ? scaled : draft.node("Add", scaled, byChannel(draft, bias, rank));
    }

    /** [C] as [C, 1, …], for so many dimensions. */
    private static String byChannel(Draft draft, String tensor, int rank) {
        if (rank <= 2) {
            return tensor;
        }
        long[] after = Activations.range(1, rank - 1L).stream().mapToLong(dim -> dim).toArray();
        return draft.node("Unsqueeze", tensor, draft.longs(after));
    }

    private static String rmsNorm(Step step) {
        List<Long> shape = step.call().integers("normalized_shape");
        int rank = step.seen().rank();
        double eps = step.call().attribute("eps").map(v -> (Double) v).orElse(RMS_EPSILON);
        String squares = step.node("Mul", step.x(), step.x());
        String mean =
                Reductions.reduce(
                        step.draft(),
                        "ReduceMean",
                        squares,
                        Activations.range(rank - (long) shape.size(), rank),
                        true);
        String root = step.node("Sqrt", step.node("Add", mean, step.number(eps)));
        String normal = step.node("Div", step.x(), root);
        return step.has(1) ? step.node("Mul", normal, step.name(1)) : normal;
    }

    private static String filled(Draft draft, long count, float value) {
        return draft.constant(
                value == 0 ? "zeros" : "ones",
                filled(List.of(count), Math.toIntExact(count), value));
    }

    private static ConstantTensor filled(List<Long> shape, int elements, float value) {
        float[] values = new float[elements];
        Arrays.fill(values, value);
        return ConstantTensor.floats(shape, values);
    }
}
