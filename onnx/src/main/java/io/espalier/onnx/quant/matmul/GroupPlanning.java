package io.espalier.onnx.quant.matmul;

import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.quant.matmul.GroupTrial.Loss;
import io.espalier.onnx.quant.matmul.GroupTrial.Way;
import io.espalier.quant.accuracy.ChannelRanges;
import io.espalier.quant.observer.QuantizationParameters;
import io.espalier.tensor.EspalierException;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * How each group of a model's products is to be quantized.
 *
 * @param model the float model, its channels shifted
 * @param groups all groups
 * @param plans for those that have something to quantize
 */
record GroupPlanning(OnnxModel model, List<SiteGroup> groups, List<GroupPlan> plans) {
    /**
     * Shares of channels that are no outliers, of which the better is taken. Dividing fewer leaves
     * the weights more of their precision.
     */
    private static final double[] ORDINARY = {0.9, 0.98};

    /** How far outliers are brought to the others: all the way, new data leave the range. */
    private static final double STRENGTH = 0.75;

    /** How much of the error may be left at most for a division to be worth its time. */
    private static final double WORTH = 0.8;

    /** Plans for a model each of whose batches finds its own ranges. */
    static GroupPlanning dynamic(
            OnnxModel model, Iterable<Map<String, Tensor>> calibration, MatMulSettings settings) {
        if (!calibration.iterator().hasNext()) {
            List<SiteGroup> groups = SiteGroup.of(model.graph(), settings);
            return new GroupPlanning(
                    model,
                    groups,
                    SiteGroup.toQuantize(groups).stream().map(GroupPlan::plain).toList());
        }
        ShiftedModel shifted = ShiftedModel.of(model, calibration, settings);
        var plans = new ArrayList<GroupPlan>();
        for (SiteGroup group : SiteGroup.toQuantize(shifted.groups())) {
            plans.add(
                    shifted.hasSeen(group)
                            ? plan(shifted, group, settings, false)
                            : GroupPlan.plain(group));
        }
        return new GroupPlanning(shifted.model(), shifted.groups(), plans);
    }

    /**
     * Plans for a model whose ranges cover what the data show.
     *
     * @throws EspalierException if the data never reach a group
     */
    static GroupPlanning fixed(
            OnnxModel model, Iterable<Map<String, Tensor>> calibration, MatMulSettings settings) {
        ShiftedModel shifted = ShiftedModel.of(model, calibration, settings);
        var plans = new ArrayList<GroupPlan>();
        for (SiteGroup group : SiteGroup.toQuantize(shifted.groups())) {
            if (!shifted.hasSeen(group)) {
                throw new EspalierException(
                        "The calibration data reach '%s' never, or only with numbers above 1e30, which are no data but masks, so that its range is not known; keep %s float."
                                .formatted(group.input(), group.sites().getFirst().name()));
            }
            plans.add(plan(shifted, group, settings, true));
        }
        return new GroupPlanning(shifted.model(), shifted.groups(), plans);
    }

    /** Divides more outliers, fewer or none, whichever loses least. */
    private static GroupPlan plan(
            ShiftedModel shifted, SiteGroup group, MatMulSettings settings, boolean fixed) {
        try (var scope = new PointerScope()) {
            OnnxGraph graph = shifted.model().graph();
            ChannelRanges ranges = shifted.ranges(group);
            var ways = new ArrayList<Way>();
            ways.add(way(GroupPlan.ones(group.channels()), ranges, fixed));
            if (settings.smoothed() && !sharesWeights(graph, group)) {
                for (double ordinary : ORDINARY) {
                    ways.add(way(ranges.outlierFactors(ordinary, STRENGTH), ranges, fixed));
                }
            }
            List<List<Loss>> losses =
                    new GroupTrial(graph, group, shifted.samples(group), settings).losses(ways);
            double worth = ChannelGain.isFree(graph, group) ? 1 : WORTH;
            int chosen = 0;
            double least = worth * error(losses.getFirst());
            for (int w = 1; w < ways.size(); w++) {
                double error = error(losses.get(w));
                if (error < least) {
                    least = error;
                    chosen = w;
                }
            }
            float[] factors = ways.get(chosen).factors();
            return new GroupPlan(
                    group,
                    factors,
                    fixed
                            ? Optional.of(ActivationRange.covering(ranges.dividedBy(factors)))
                            : Optional.empty(),
                    losses.get(chosen),
                    remark(shifted.isShifted(group), chosen > 0));
        }
    }

    private static Way way(float[] factors, ChannelRanges overall, boolean fixed) {
        if (!fixed) {
            return new Way(factors, ActivationRange::covering);
        }
        QuantizationParameters all = ActivationRange.covering(overall.dividedBy(factors));
        return new Way(factors, anyBatch -> all);
    }

    /** Whether a matrix has other readers, for which it can't be multiplied. */
    private static boolean sharesWeights(OnnxGraph graph, SiteGroup group) {
        return group.quantizable().stream()
                .anyMatch(site -> graph.readers(site.weightName()).size() > 1);
    }

    private static double error(List<Loss> losses) {
        double squares = 0;
        for (Loss loss : losses) {
            squares += loss.error() * loss.error();
        }
        return Math.sqrt(squares);
    }

    private static String remark(boolean shifted, boolean divided) {
        if (shifted) {
            return divided ? "channels shifted, outliers divided" : "channels shifted";
        }
        return divided ? "outliers divided" : "input as it is";
    }
}
