package io.espalier.slim;

import io.espalier.nn.Module;
import io.espalier.tensor.EspalierException;
import io.espalier.train.Latency;

import org.bytedeco.pytorch.Tensor;

import java.util.List;
import java.util.function.Supplier;

/** Finds the widths of a Java model's groups at which a target is met and least is lost. */
final class TargetWidths {
    /** Turns are taken for about so many milliseconds. */
    private static final double MEASURED = 600;

    private static final int FEWEST_TURNS = 7;
    private static final int MOST_TURNS = 51;

    private final ModelSlimmer slimmer;
    private final SlimmingRun run;
    private final Slimming.Listener listener;
    private final ModelCosts costs;

    TargetWidths(ModelSlimmer slimmer, SlimmingRun run, Slimming.Listener listener) {
        this.slimmer = slimmer;
        this.run = run;
        this.listener = listener;
        costs = new ModelCosts(slimmer, run.groups(), run.blocks());
    }

    /** The slimming that meets a target. */
    SlimResult to(SlimmingTarget target) {
        return switch (target.kind()) {
            case RATIO -> run.at(UnitWidths.of(run.groups(), target.value()));
            case MACS -> counted(target, costs.macs());
            case PARAMETERS -> counted(target, costs.parameters());
            case BYTES -> counted(target, costs.bytes());
            case SPEEDUP -> toSpeed(target);
            case MAX_DROP -> toDrop(target);
        };
    }

    private WidthSearch search(WidthCosts cost) {
        return new WidthSearch(run.groups(), run.losses(), cost, run.lossesOfBlocks());
    }

    private SlimResult counted(SlimmingTarget target, WidthCosts cost) {
        double whole = count(target);
        if (whole == 0) {
            throw new EspalierException(
                    "The model has no %s to take a share of.".formatted(target.kind().unit()));
        }
        WidthSearch search = search(cost);
        var correction = correction(search, () -> count(target) / whole, Correction.COUNTED);
        return at(search, correction.within(target, listener), target);
    }

    /** What the model has as it is now. */
    private double count(SlimmingTarget target) {
        if (target.kind() == SlimmingTarget.Kind.BYTES) {
            return costs.heldBytes();
        }
        SlimResult.Cost now =
                TracedModel.of(slimmer.model(), slimmer.example()).cost(slimmer.example());
        return target.kind() == SlimmingTarget.Kind.MACS ? now.macs() : now.parameters();
    }

    /** The model beside a copy of it as it was, in turns. */
    private SlimResult toSpeed(SlimmingTarget target) {
        WidthSearch search = search(costs.times(listener));
        Module whole = slimmer.model().copy();
        whole.eval();
        Tensor[] example = slimmer.example().toArray(Tensor[]::new);
        int turns = (int) Math.clamp(MEASURED / costs.time(), FEWEST_TURNS, MOST_TURNS);
        var correction =
                correction(
                        search,
                        () -> {
                            try (var trial = new Trial(slimmer.model())) {
                                var both = List.of(whole, slimmer.model());
                                double[] times = Latency.medians(both, turns, example);
                                return times[1] / times[0];
                            }
                        },
                        Correction.NOISE);
        return at(search, correction.to(target, listener), target);
    }

    /**
     * Of what is measured.
     *
     * @param measured the share that is left, of the model as it is at some widths
     */
    private Correction correction(WidthSearch search, Supplier<Double> measured, double off) {
        return new Correction(
                search,
                widths -> slimmer.narrowed(run.groups(), run.blocks(), widths, measured),
                off);
    }

    private SlimResult toDrop(SlimmingTarget target) {
        WidthSearch search = search(costs.times(listener));
        try (var results = run.results()) {
            int[] widths =
                    DropSearch.widths(
                            search, target.value(), tried -> run.drop(tried, results), listener);
            return at(search, widths, target);
        }
    }

    private SlimResult at(WidthSearch search, int[] widths, SlimmingTarget target) {
        return run.at(widths).with(search.costs(widths), target.kind().unit());
    }
}
