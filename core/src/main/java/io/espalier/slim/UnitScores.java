package io.espalier.slim;

import io.espalier.nn.BatchNorm;
import io.espalier.nn.Module;
import io.espalier.prune.EntryScores;
import io.espalier.prune.Target;
import io.espalier.slim.ModelTensors.Held;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** How much the units of a Java model's groups matter. */
final class UnitScores {
    private final Module model;
    private final ModelTensors tensors;
    private final ChannelImportance importance;
    private final UnitSums magnitude;
    private @Nullable UnitSums sums;

    /**
     * Scores.
     *
     * @param by what they come from, in words
     */
    @SuppressWarnings("ArrayRecordComponent") // Never compared.
    record Scored(double[] scores, String by) {}

    UnitScores(ModelAnalysis analysis, ChannelImportance importance) {
        model = analysis.model();
        tensors = analysis.tensors();
        this.importance = importance;
        magnitude = UnitSums.magnitude(this::value);
    }

    /** One for each unit of a group. */
    Scored of(Group group) {
        Scored scored =
                switch (importance) {
                    case ChannelImportance.Scored own ->
                            new Scored(own.scores().of(group, this::value), own.words());
                    case ChannelImportance.BatchNormScale scale -> byScale(group);
                    case ChannelImportance.OnData data ->
                            new Scored(
                                    magnitude.of(group),
                                    "magnitude: no layer that reads it can be weighed");
                    case ChannelImportance.OfEntries entries ->
                            new Scored(sums(entries).of(group), "scores of entries");
                };
        UnitWidths.requireScores(group, scored.scores());
        return scored;
    }

    /** What is lost as units go, those of the lowest scores first. */
    LossCurve curve(Group group) {
        Scored scored = of(group);
        return LossCurve.ofScores(group, scored.scores(), scored.by());
    }

    /** A parameter as the model computes with it, or a buffer. */
    private Tensor value(String name) {
        Held held = tensors.held(name);
        return held.owner().valueOrBuffer(held.name()).detach();
    }

    private Scored byScale(Group group) {
        UnitSums scales =
                UnitSums.of(name -> {
                    Held held = tensors.held(name);
                    boolean scale =
                            held.owner() instanceof BatchNorm && held.name().equals("weight");
                    return scale ? value(name).abs() : null;
                });
        boolean has =
                group.units().getFirst().slices().keySet().stream()
                        .map(place -> tensors.held(place.constant()))
                        .anyMatch(held ->
                                held.owner() instanceof BatchNorm && held.name().equals("weight"));
        return has
                ? new Scored(scales.of(group), "batch-norm scale")
                : new Scored(magnitude.of(group), "magnitude: no batch normalization");
    }

    private UnitSums sums(ChannelImportance.OfEntries entries) {
        if (sums == null) {
            List<Target> targets = new ArrayList<>();
            Map<String, Target> byName = new HashMap<>();
            tensors.all()
                    .forEach((name, held) -> {
                        Module owner = held.owner();
                        if (held.tensor().dim() >= 2 && owner.hasParameter(held.name())) {
                            var target = new Target(owner, held.name());
                            targets.add(target);
                            byName.put(name, target);
                        }
                    });
            Map<Target, Tensor> scores;
            try (var kept = new KeptState(model)) {
                scores = entries.entries().scores(targets);
            }
            sums =
                    UnitSums.of(name -> {
                        Target target = byName.get(name);
                        return target == null
                                ? null
                                : EntryScores.requireEach(
                                        scores.get(target),
                                        "'" + name + "'",
                                        tensors.held(name).tensor());
                    });
        }
        return sums;
    }
}
