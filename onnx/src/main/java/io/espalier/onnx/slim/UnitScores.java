package io.espalier.onnx.slim;

import io.espalier.onnx.quant.CalibrationData;
import io.espalier.slim.Group;
import io.espalier.slim.LossCurve;
import io.espalier.slim.UnitWidths;

import org.jspecify.annotations.Nullable;

import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/** How much the units of groups matter that are not chosen layer by layer. */
final class UnitScores {
    private final OnnxSlimmer of;
    private final Importance importance;
    private final List<Group> groups;
    private final Optional<CalibrationData> data;
    private final Slimming.Listener listener;
    private @Nullable NormalizationScales scales;
    private @Nullable FirstOrder gradients;

    /**
     * Prepares.
     *
     * @param groups all that are asked about
     * @param data of an importance that needs some
     */
    UnitScores(
            OnnxSlimmer of,
            Importance importance,
            List<Group> groups,
            Optional<CalibrationData> data,
            Slimming.Listener listener) {
        this.of = of;
        this.importance = importance;
        this.groups = groups;
        this.data = data;
        this.listener = listener;
    }

    /** What is lost of a group as units go, those of the lowest scores first. */
    LossCurve of(Group group) {
        return switch (importance) {
            case Importance.Scored own -> ofScores(group, own.scores(), own.words());
            case Importance.OnData onData ->
                    byMagnitude(group, "no layer that reads it can be weighed");
            case Importance.BatchNormScale scale -> byScale(group);
            case Importance.OnGradients gradient -> byGradient(group, gradient);
        };
    }

    private LossCurve byMagnitude(Group group, String why) {
        var magnitude = (Importance.Scored) Importance.magnitude();
        return ofScores(group, magnitude.scores(), "magnitude: " + why);
    }

    private LossCurve byScale(Group group) {
        if (scales == null) {
            scales = new NormalizationScales(of);
        }
        return scales.knows(group)
                ? curve(group, scales.of(group), "batch-norm scale")
                : byMagnitude(group, "no batch normalization");
    }

    private LossCurve byGradient(Group group, Importance.OnGradients by) {
        if (gradients == null) {
            gradients = FirstOrder.of(of, groups, by.loss(), data.orElseThrow(), listener);
        }
        if (!gradients.knows(group)) {
            return byMagnitude(group, "no gradient reaches it");
        }
        double[] scores = gradients.of(group);
        UnitWidths.requireScores(group, scores);
        // Scores are losses themselves, so that those of groups compare.
        return curve(group, scores, "gradient").times(Arrays.stream(scores).sum());
    }

    private LossCurve ofScores(Group group, Importance.Scores scores, String words) {
        return curve(group, scores.of(group, of.model()), words);
    }

    private static LossCurve curve(Group group, double[] scores, String words) {
        UnitWidths.requireScores(group, scores);
        return LossCurve.ofScores(group, scores, words);
    }
}
