package io.espalier.onnx.quant.matmul;

import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.run.OnnxSession;
import io.espalier.quant.accuracy.ChannelRanges;
import io.espalier.quant.evaluation.TensorErrors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;

import java.util.List;
import java.util.Map;
import java.util.Objects;

/**
 * A model whose channels are shifted, and what calibration data say about the values in it.
 *
 * @param model the float model
 * @param groups its groups of products
 * @param statistics of the model as it was
 * @param shifts what was taken from the channels of each shifted value
 */
record ShiftedModel(
        OnnxModel model,
        List<SiteGroup> groups,
        ActivationStatistics statistics,
        Map<String, float[]> shifts) {
    /** What rounding may change of a result, relative to its length. */
    private static final double SAME = 1e-4;

    /** Looks at a model on calibration data, and shifts a copy of it if the settings say so. */
    static ShiftedModel of(
            OnnxModel model, Iterable<Map<String, Tensor>> calibration, MatMulSettings settings) {
        List<SiteGroup> groups = SiteGroup.of(model.graph(), settings);
        ActivationStatistics statistics =
                ActivationStatistics.gather(model, SiteGroup.toQuantize(groups), calibration);
        if (!settings.shifted()) {
            return new ShiftedModel(model, groups, statistics, Map.of());
        }
        ChannelShift shift = ChannelShift.apply(model, groups, statistics);
        if (!computesTheSame(model, shift.model(), calibration.iterator().next())) {
            return new ShiftedModel(model, groups, statistics, Map.of());
        }
        return new ShiftedModel(
                shift.model(),
                SiteGroup.of(shift.model().graph(), settings),
                statistics,
                shift.shifts());
    }

    /** Whether the results of both for one batch are the same but for rounding. */
    private static boolean computesTheSame(
            OnnxModel model, OnnxModel other, Map<String, Tensor> batch) {
        try (var scope = new PointerScope()) {
            Map<String, Tensor> expected = results(model, batch);
            Map<String, Tensor> found = results(other, batch);
            for (Map.Entry<String, Tensor> result : expected.entrySet()) {
                var errors = new TensorErrors();
                errors.add(result.getValue(), Objects.requireNonNull(found.get(result.getKey())));
                if (!(errors.relative() <= SAME)) {
                    return false;
                }
            }
            return true;
        }
    }

    /** One model is open at a time: each has its weights in memory. */
    private static Map<String, Tensor> results(OnnxModel model, Map<String, Tensor> batch) {
        try (var session = OnnxSession.open(model)) {
            return session.run(batch);
        }
    }

    /** Whether the data ever reached what a group reads. */
    boolean hasSeen(SiteGroup group) {
        return statistics.has(group.input());
    }

    boolean isShifted(SiteGroup group) {
        return shifts.containsKey(group.input());
    }

    /** The range of each channel that a group reads. */
    ChannelRanges ranges(SiteGroup group) {
        ChannelRanges ranges = statistics.ranges(group.input());
        float[] shift = shifts.get(group.input());
        return shift == null ? ranges : ranges.minus(shift);
    }

    /** Rows of what a group reads. */
    List<ActivationSample> samples(SiteGroup group) {
        List<ActivationSample> samples = statistics.samples(group.input());
        float[] shift = shifts.get(group.input());
        return shift == null
                ? samples
                : samples.stream().map(sample -> sample.minus(shift)).toList();
    }
}
