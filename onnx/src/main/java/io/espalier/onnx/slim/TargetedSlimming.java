package io.espalier.onnx.slim;

import io.espalier.onnx.inputs.Inputs;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.quant.CalibrationData;
import io.espalier.onnx.quant.ReferenceOutputs;
import io.espalier.onnx.run.PairedTime;
import io.espalier.onnx.shape.ModelCost;
import io.espalier.onnx.slim.SlimResult.Spent;
import io.espalier.slim.Group;
import io.espalier.tensor.EspalierException;

import org.bytedeco.pytorch.Tensor;

import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.function.ToDoubleFunction;

/** Finds the widths at which a target is met and least is lost. */
final class TargetedSlimming {
    /** Times of one model differ by about as much from one measurement to the next. */
    private static final double NOISE = 0.02;

    /** More than what one session's times are off. */
    private static final double FAR = 0.05;

    /** What is counted is met but for widths that are multiples of something. */
    private static final double COUNTED = 0.005;

    private static final int ROUNDS = 5;
    private static final int HALVINGS = 12;
    private static final int JUDGED = 256;

    /** A result that is as near to the largest drop is near enough. */
    private static final double NEAR = 0.9;

    private final OnnxSlimmer of;
    private final SlimmingRun run;
    private final Inputs timed;
    private final Slimming.Listener listener;
    private final Costs costs;

    TargetedSlimming(OnnxSlimmer of, SlimmingRun run, Inputs timed, Slimming.Listener listener) {
        this.of = of;
        this.run = run;
        this.timed = timed;
        this.listener = listener;
        costs = new Costs(of, run.groups());
    }

    /** The model that meets a target. */
    SlimResult to(Target target) {
        return switch (target.kind()) {
            case RATIO -> run.at(costs.widths(target.value()), Map.of(), target.kind().unit());
            case MACS -> counted(target, costs.macs());
            case PARAMETERS -> counted(target, costs.parameters());
            case BYTES -> counted(target, costs.bytes());
            case SPEEDUP -> timed(batch -> toSpeed(target, batch));
            case MAX_DROP -> timed(batch -> toDrop(target, batch));
        };
    }

    private WidthSearch search(WidthCosts cost) {
        return new WidthSearch(costs, run.groups(), run.losses(), cost);
    }

    private SlimResult counted(Target target, WidthCosts cost) {
        double whole = count(target, of.original());
        return corrected(
                target,
                search(cost),
                widths -> count(target, costs.narrowed(widths)) / whole,
                COUNTED);
    }

    private static double count(Target target, OnnxModel model) {
        return switch (target.kind()) {
            case MACS -> ModelCost.of(model).macs();
            case PARAMETERS -> ModelCost.of(model).parameters();
            default -> model.byteSize();
        };
    }

    private SlimResult toSpeed(Target target, Map<String, Tensor> batch) {
        WidthSearch search = search(costs.times(batch, listener));
        return corrected(target, search, widths -> shareOfTime(widths, target, batch), NOISE);
    }

    /**
     * The share of the model's time that one of such widths takes; what is far from the target is
     * not looked at closely.
     */
    private double shareOfTime(int[] widths, Target target, Map<String, Tensor> batch) {
        PairedTime least =
                PairedTime.ofSessions(
                        of.original(),
                        costs.narrowed(widths),
                        batch,
                        (time, sessions) ->
                                sessions < SlimResult.SESSIONS
                                        && Math.abs(Math.log(time.speedup() / target.value()))
                                                < FAR);
        return 1 / least.speedup();
    }

    private SlimResult corrected(
            Target target, WidthSearch search, ToDoubleFunction<int[]> measured, double off) {
        int[] widths = new Correction(search, measured, off).to(target, listener);
        return run.at(widths, spent(search, widths), target.kind().unit());
    }

    private SlimResult timed(Function<Map<String, Tensor>, SlimResult> on) {
        if (!run.data().isEmpty()) {
            return on.apply(run.data().getFirst());
        }
        try (var data = CalibrationData.read(of.model(), timed, 1)) {
            return on.apply(data.batches().getFirst());
        }
    }

    /** What each group costs and loses. */
    private Map<Group, Spent> spent(WidthSearch search, int[] widths) {
        Map<Group, Spent> spent = new HashMap<>();
        int[] whole = costs.widths(1);
        for (int g = 0; g < widths.length; g++) {
            spent.put(
                    run.groups().get(g),
                    new Spent(
                            search.cost(g, whole),
                            search.cost(g, widths),
                            search.error(g, widths[g])));
        }
        return spent;
    }

    /** The fastest of models that are solved, each tried where the last ones say. */
    private SlimResult toDrop(Target target, Map<String, Tensor> batch) {
        WidthSearch search = search(costs.times(batch, listener));
        int threads = Runtime.getRuntime().availableProcessors();
        var reference =
                ReferenceOutputs.of(of.original(), SlimmingRun.first(run.data(), JUDGED), threads);
        Optional<SlimResult> best = Optional.empty();
        double least = 1;
        double most = 0;
        double dropOfError = 1;
        for (int round = 0; round < ROUNDS; round++) {
            double share = share(search, target.value() / dropOfError, most, least);
            int[] widths = search.within(share * search.whole()).orElse(search.narrowest());
            SlimResult tried = run.at(widths, spent(search, widths), target.kind().unit());
            double drop = reference.drop(tried.model());
            if (drop <= target.value()) {
                best = Optional.of(tried);
                least = share;
            } else {
                most = share;
            }
            dropOfError = Math.max(drop, 1e-9) / Math.max(search.error(widths), 1e-9);
            boolean near = drop <= target.value() && drop >= NEAR * target.value();
            if (near || least - most < NOISE) {
                break;
            }
        }
        return best.orElseThrow(() ->
                new EspalierException(
                        "Nothing was found that can go for a drop of %s; give more."
                                .formatted(target.value())));
    }

    /** The least share of the cost at which no more is lost than that, between two shares. */
    private static double share(WidthSearch search, double error, double most, double least) {
        double from = most;
        double to = least;
        for (int i = 0; i < HALVINGS; i++) {
            double share = (from + to) / 2;
            Optional<int[]> widths = search.within(share * search.whole());
            if (widths.isPresent() && search.error(widths.get()) <= error) {
                to = share;
            } else {
                from = share;
            }
        }
        return to == least && most > 0 ? (most + least) / 2 : to;
    }
}
