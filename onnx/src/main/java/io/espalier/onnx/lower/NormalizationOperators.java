package io.espalier.onnx.lower;

import io.espalier.graph.GraphOperator;
import io.espalier.graph.Size;
import io.espalier.graph.Value;
import io.espalier.nn.BatchNorm;
import io.espalier.nn.BatchNorm1d;
import io.espalier.nn.BatchNorm2d;
import io.espalier.nn.BatchNorm3d;
import io.espalier.nn.GroupNorm;
import io.espalier.nn.LayerNorm;
import io.espalier.nn.Module;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxNode;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;

/** Normalizations: layers where their tensors are constant. */
final class NormalizationOperators {
    private static final double STANDARD_EPS = 1e-5f;

    private NormalizationOperators() {}

    static void addTo(Map<String, OperatorLowering> table) {
        table.put("BatchNormalization", NormalizationOperators::batch);
        table.put("LayerNormalization", NormalizationOperators::layer);
        table.put("InstanceNormalization", NormalizationOperators::instance);
        table.put("GroupNormalization", NormalizationOperators::group);
        table.put("RMSNormalization", NormalizationOperators::rootMeanSquare);
        table.put("SimplifiedLayerNormalization", NormalizationOperators::rootMeanSquare);
        table.put("LRN", NormalizationOperators::acrossChannels);
        table.put("LpNormalization", NormalizationOperators::unitLength);
        table.put("MeanVarianceNormalization", NormalizationOperators::meanVariance);
        table.put(
                Operators.key(OnnxNode.MICROSOFT, "SkipLayerNormalization"),
                NormalizationOperators::afterSum);
    }

    /** As it is written, without the digits that a float adds. */
    private static double eps(Call call) {
        float eps = call.node.number("epsilon", (float) STANDARD_EPS);
        return Double.parseDouble(Float.toString(eps));
    }

    private static void batch(Call call) {
        boolean training =
                call.node.integer("training_mode", 0) != 0
                        || call.node.integer("spatial", 1) == 0
                        || call.wants(1);
        if (training) {
            throw call.refused("it normalizes by the batch's own statistics, as in training");
        }
        ConstantTensor weight = call.weight(1);
        ConstantTensor bias = call.weight(2);
        ConstantTensor mean = call.weight(3);
        ConstantTensor variance = call.weight(4);
        double eps = eps(call);
        int rank = call.rank(0);
        if (weight == null
                || bias == null
                || mean == null
                || variance == null
                || rank < 2
                || rank > 5) {
            call.give(
                    call.apply(
                            GraphOperator.BATCH_NORM,
                            Map.of("eps", eps),
                            call.in(0),
                            call.in(1),
                            call.in(2),
                            call.in(3),
                            call.in(4)));
            return;
        }
        double momentum = 1 - call.node.number("momentum", 0.9f);
        call.give(
                call.call(
                        1,
                        List.of(BatchNorm.class, call.node.inputs().subList(1, 5), eps, rank),
                        () ->
                                batchLayer(
                                        rank,
                                        weight.toTensor(),
                                        bias.toTensor(),
                                        mean.toTensor(),
                                        variance.toTensor(),
                                        with -> with.eps(eps).momentum(momentum)),
                        call.in(0)));
    }

    private static Module batchLayer(
            int rank,
            Tensor weight,
            Tensor bias,
            Tensor mean,
            Tensor variance,
            UnaryOperator<BatchNorm.Options> with) {
        return switch (rank) {
            case 2, 3 -> BatchNorm1d.of(weight, bias, mean, variance, with);
            case 4 -> BatchNorm2d.of(weight, bias, mean, variance, with);
            default -> BatchNorm3d.of(weight, bias, mean, variance, with);
        };
    }

    private static void layer(Call call) {
        int axis = call.axis(call.node.integer("axis", -1), 0);
        normalizeLayer(call, call.in(0), axis, 1, 2);
        if (call.wants(1) || call.wants(2)) {
            Map<String, Object> dims =
                    Map.of("dim", Call.range(axis, call.rank(0)), "keepdim", true);
            call.give(1, call.apply(GraphOperator.MEAN, dims, call.in(0)));
            Map<String, Object> biased = new HashMap<>(dims);
            biased.put("correction", 0);
            Value variance = call.apply(GraphOperator.VAR, biased, call.in(0));
            call.give(2, call.apply(GraphOperator.RSQRT, call.plus(variance, eps(call))));
        }
    }

    private static void normalizeLayer(Call call, Value x, int axis, int scale, int shift) {
        ConstantTensor weight = call.weight(scale);
        ConstantTensor bias = call.weight(shift);
        double eps = eps(call);
        int normalized = call.rank(0) - axis;
        boolean isLayer =
                weight != null
                        && normalized > 0
                        && covers(call, axis, weight.shape())
                        && (bias == null ? !call.has(shift) : bias.shape().equals(weight.shape()));
        if (isLayer && weight != null) {
            call.give(
                    call.call(
                            scale,
                            Arrays.asList(
                                    LayerNorm.class,
                                    call.node.input(scale),
                                    call.node.input(shift),
                                    eps),
                            () ->
                                    LayerNorm.of(
                                            weight.toTensor(),
                                            bias == null ? null : bias.toTensor(),
                                            with -> with.eps(eps)),
                            x));
            return;
        }
        Value normal =
                call.apply(
                        GraphOperator.LAYER_NORM,
                        Map.of("normalized_shape", lastSizes(call, axis), "eps", eps),
                        x);
        Value scaled = call.apply(GraphOperator.MUL, normal, call.in(scale));
        call.give(call.has(shift) ? call.apply(GraphOperator.ADD, scaled, call.in(shift)) : scaled);
    }

    /** Whether a weight has one number for each element that is normalized over. */
    private static boolean covers(Call call, int axis, List<Long> weight) {
        List<Size> last = call.shape(0).subList(axis, call.rank(0));
        boolean fits = weight.size() == last.size();
        for (int i = 0; fits && i < weight.size(); i++) {
            boolean open = !(last.get(i) instanceof Size.Fixed) && weight.get(i) > 1;
            fits = open || last.get(i).equals(new Size.Fixed(weight.get(i)));
        }
        return fits;
    }

    private static List<Size> lastSizes(Call call, int axis) {
        return call.sizes(0).subList(axis, call.rank(0));
    }

    private static void instance(Call call) {
        ConstantTensor weight = call.weight(1);
        ConstantTensor bias = call.weight(2);
        normalizeGroups(call, weight, bias, call.shape(0).get(1), eps(call));
    }

    /**
     * Normalizes over groups.
     *
     * @param groups how many there are
     */
    private static void normalizeGroups(
            Call call,
            @Nullable ConstantTensor weight,
            @Nullable ConstantTensor bias,
            Size groups,
            double eps) {
        if (weight != null && bias != null && groups instanceof Size.Fixed(long number)) {
            call.give(
                    call.call(
                            1,
                            List.of(GroupNorm.class, call.node.inputs().subList(1, 3), number, eps),
                            () ->
                                    GroupNorm.of(
                                            number,
                                            weight.toTensor(),
                                            bias.toTensor(),
                                            with -> with.eps(eps)),
                            call.in(0)));
        } else {
            call.give(
                    call.apply(
                            GraphOperator.GROUP_NORM,
                            Map.of("num_groups", groups, "eps", eps),
                            call.in(0),
                            call.in(1),
                            call.in(2)));
        }
    }

    /** Before opset 21 there is one weight for each group. */
    private static void group(Call call) {
        long groups = call.node.integer("num_groups", 1);
        if (call.opset() >= 21) {
            normalizeGroups(call, call.weight(1), call.weight(2), Window.fixed(groups), eps(call));
            return;
        }
        Value normal =
                call.apply(
                        GraphOperator.GROUP_NORM,
                        Map.of("num_groups", groups, "eps", eps(call)),
                        call.in(0));
        long size = call.length(0, 1) / groups;
        Value scaled = call.apply(GraphOperator.MUL, normal, ofGroups(call, 1, size));
        call.give(call.apply(GraphOperator.ADD, scaled, ofGroups(call, 2, size)));
    }

    /** A number of each group as one of each channel, [C, 1, …]. */
    private static Value ofGroups(Call call, int place, long size) {
        Value pairs =
                call.apply(
                        GraphOperator.REPEAT,
                        Map.of("repeats", List.of(1, size)),
                        call.unsqueeze(call.in(place), 1));
        List<Object> shape = new ArrayList<>(List.of(-1));
        shape.addAll(Call.repeated(call.rank(0) - 2, 1));
        return call.apply(GraphOperator.RESHAPE, Map.of("shape", shape), pairs);
    }

    private static void rootMeanSquare(Call call) {
        if (call.wants(1)) {
            throw call.refused("somebody reads its statistics");
        }
        int axis = call.axis(call.node.integer("axis", -1), 0);
        Map<String, Object> attributes =
                Map.of("normalized_shape", lastSizes(call, axis), "eps", eps(call));
        Value normal = call.apply(GraphOperator.RMS_NORM, attributes, call.in(0));
        call.give(call.apply(GraphOperator.MUL, normal, call.in(1)));
    }

    /** The means of squares over neighbouring channels, as a pooling of three dimensions. */
    private static void acrossChannels(Call call) {
        long size = call.node.integer("size", 1);
        if (call.rank(0) != 4) {
            throw call.refused("it has " + call.rank(0) + " dimensions, not 4");
        }
        Value x = call.in(0);
        Value squares = call.unsqueeze(call.apply(GraphOperator.MUL, x, x), 1);
        long before = (size - 1) / 2;
        Value padded =
                call.apply(
                        GraphOperator.PAD,
                        Map.of("pad", List.of(0, 0, 0, 0, before, size - 1 - before)),
                        squares);
        Value means =
                call.apply(
                        GraphOperator.AVG_POOL3D,
                        Map.of(
                                "kernel_size", List.of(size, 1, 1),
                                "stride", List.of(1, 1, 1)),
                        padded);
        Value mean = call.apply(GraphOperator.SQUEEZE, Map.of("dim", 1), means);
        Value base =
                call.plus(
                        call.times(mean, call.node.number("alpha", 1e-4f)),
                        call.node.number("bias", 1));
        Value divisor =
                call.apply(
                        GraphOperator.POW_SCALAR,
                        Map.of("exponent", call.node.number("beta", 0.75f)),
                        base);
        call.give(call.apply(GraphOperator.DIV, x, divisor));
    }

    private static void unitLength(Call call) {
        Value norm =
                call.apply(
                        GraphOperator.NORM,
                        Map.of(
                                "ord",
                                (double) call.node.integer("p", 2),
                                "dim",
                                List.of(call.node.integer("axis", -1)),
                                "keepdim",
                                true),
                        call.in(0));
        // Zeros stay zeros.
        Value none = call.apply(GraphOperator.EQ_SCALAR, Map.of("other", 0.0), norm);
        Value length = call.apply(GraphOperator.MASKED_FILL, Map.of("value", 1.0), norm, none);
        call.give(call.apply(GraphOperator.DIV, call.in(0), length));
    }

    private static void meanVariance(Call call) {
        List<Long> axes = call.node.has("axes") ? call.node.integers("axes") : List.of(0L, 2L, 3L);
        Map<String, Object> dims = Map.of("dim", axes, "keepdim", true);
        Value centred =
                call.apply(
                        GraphOperator.SUB,
                        call.in(0),
                        call.apply(GraphOperator.MEAN, dims, call.in(0)));
        Value variance =
                call.apply(
                        GraphOperator.MEAN, dims, call.apply(GraphOperator.MUL, centred, centred));
        Value deviation = call.plus(call.apply(GraphOperator.SQRT, variance), 1e-9);
        call.give(call.apply(GraphOperator.DIV, centred, deviation));
    }

    /** The runtime's own operator: a sum, normalized. */
    private static void afterSum(Call call) {
        if (call.wants(1) || call.wants(2)) {
            throw call.refused("somebody reads its statistics");
        }
        Value sum = call.apply(GraphOperator.ADD, call.in(0), call.in(1));
        Value all = call.has(4) ? call.apply(GraphOperator.ADD, sum, call.in(4)) : sum;
        normalizeLayer(call, all, call.rank(0) - 1, 2, 3);
        call.give(3, all);
    }
}
