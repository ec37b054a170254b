package io.espalier.onnx.slim;

import io.espalier.onnx.inputs.Inputs;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.quant.CalibrationData;
import io.espalier.onnx.quant.ReferenceOutputs;
import io.espalier.onnx.run.PairedTime;
import io.espalier.onnx.shape.ModelCost;
import io.espalier.slim.Correction;
import io.espalier.slim.DropSearch;
import io.espalier.slim.SlimmingTarget;
import io.espalier.slim.WidthCosts;
import io.espalier.slim.WidthSearch;
import io.espalier.tensor.EspalierException;

import org.bytedeco.pytorch.Tensor;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.function.ToDoubleFunction;

/** Finds the widths at which a target is met and least is lost. */
final class TargetedSlimming {
    /** More than what one session's times are off. */
    private static final double FAR = 0.05;

    private static final int JUDGED = 256;

    private final OnnxSlimmer of;
    private final SlimmingRun run;
    private final Optional<Inputs> timed;
    private final Slimming.Listener listener;
    private final Costs costs;

    /**
     * @param timed the inputs that times are measured and multiplications counted for; random
     *     numbers if there are none
     */
    TargetedSlimming(
            OnnxSlimmer of, SlimmingRun run, Optional<Inputs> timed, Slimming.Listener listener) {
        this.of = of;
        this.run = run;
        this.timed = timed;
        this.listener = listener;
        costs = new Costs(of, run.groups(), run.blocks());
    }

    /** The model that meets a target. */
    SlimResult to(SlimmingTarget target) {
        return switch (target.kind()) {
            case RATIO ->
                    run.at(
                            new SharedWidths(of, run).of(target.value()),
                            Map.of(),
                            target.kind().unit());
            case MACS -> timed(batch -> toMacs(target, batch));
            case PARAMETERS ->
                    counted(target, costs.parameters(), model -> ModelCost.of(model).parameters());
            case BYTES -> counted(target, costs.bytes(), OnnxModel::byteSize);
            case SPEEDUP -> timed(batch -> toSpeed(target, batch));
            case MAX_DROP -> timed(batch -> toDrop(target, batch));
        };
    }

    private WidthSearch search(WidthCosts cost) {
        return new WidthSearch(run.groups(), run.losses(run.groups()), cost, run.lossesOfBlocks());
    }

    private SlimResult toMacs(SlimmingTarget target, Map<String, Tensor> batch) {
        Map<String, List<Long>> extents = ExampleExtents.of(of.original(), batch);
        ModelCost whole = ModelCost.of(of.original(), extents);
        if (!whole.uncounted().isEmpty()) {
            throw new EspalierException(
                    "The MACs of '%s' can't be counted for inputs of %s; aim at another target."
                            .formatted(whole.uncounted().getFirst().name(), extents));
        }
        if (whole.macs() == 0) {
            throw new EspalierException("The model has no MACs to take a share of.");
        }
        return counted(target, costs.macs(extents), model -> ModelCost.of(model, extents).macs());
    }

    private SlimResult counted(
            SlimmingTarget target, WidthCosts cost, ToDoubleFunction<OnnxModel> count) {
        double whole = count.applyAsDouble(of.original());
        WidthSearch search = search(cost);
        var correction =
                new Correction(
                        search,
                        widths -> count.applyAsDouble(costs.narrowed(widths)) / whole,
                        Correction.COUNTED);
        return at(search, correction.within(target, listener::at), target);
    }

    private SlimResult toSpeed(SlimmingTarget target, Map<String, Tensor> batch) {
        WidthSearch search = search(costs.times(batch, listener));
        var correction =
                new Correction(
                        search, widths -> shareOfTime(widths, target, batch), Correction.NOISE);
        return at(search, correction.to(target, listener::at), target);
    }

    /**
     * The share of the model's time that one of such widths takes; what is far from the target is
     * not looked at closely.
     */
    private double shareOfTime(int[] widths, SlimmingTarget target, Map<String, Tensor> batch) {
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

    private SlimResult timed(Function<Map<String, Tensor>, SlimResult> on) {
        if (!run.data().isEmpty()) {
            return on.apply(run.data().getFirst());
        }
        try (var data = timedData()) {
            return on.apply(data.batches().getFirst());
        }
    }

    private CalibrationData timedData() {
        if (timed.isPresent()) {
            return CalibrationData.read(of.model(), timed.get(), 1);
        }
        try {
            return CalibrationData.read(of.model(), Inputs.random(), 1);
        } catch (EspalierException e) {
            throw new EspalierException(
                    e.getMessage()
                            + " A slimming is given them by timedOn(Inputs.random().size(…)).",
                    e);
        }
    }

    /** The fastest of models that are solved, each tried where the last ones say. */
    private SlimResult toDrop(SlimmingTarget target, Map<String, Tensor> batch) {
        WidthSearch search = search(costs.times(batch, listener));
        int threads = Runtime.getRuntime().availableProcessors();
        var reference =
                ReferenceOutputs.of(of.original(), SlimmingRun.first(run.data(), JUDGED), threads);
        List<SlimResult> near = new ArrayList<>();
        DropSearch.widths(
                search,
                target.value(),
                widths -> {
                    SlimResult tried = at(search, widths, target);
                    double drop = reference.drop(tried.model());
                    if (drop <= target.value()) {
                        near.clear();
                        near.add(tried);
                    }
                    return drop;
                },
                listener::at);
        return near.getFirst();
    }

    private SlimResult at(WidthSearch search, int[] widths, SlimmingTarget target) {
        return run.at(widths, search.costs(widths), target.kind().unit());
    }
}
