package io.espalier.onnx.slim;

import io.espalier.onnx.inputs.Inputs;
import io.espalier.onnx.model.FiniteWeights;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.slim.Groups;
import io.espalier.slim.SlimmingTarget;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;

import java.util.Optional;

/**
 * Channels of an ONNX model taken out, by how much they matter, until a target is met. It never
 * changes: each setting gives another.
 *
 * <pre>{@code
 * SlimResult result = OnnxSlimmer.of(model)
 *         .speedup(1.5)
 *         .importance(Importance.secondOrder(inputs))
 *         .run();
 * result.model().save(Path.of("slim.onnx"));
 * }</pre>
 */
public final class Slimming {
    private final OnnxSlimmer slimmer;
    private final SlimmingTarget target;
    private final Importance importance;
    private final Optional<Inputs> timed;
    private final boolean wholeBlocks;
    private final Listener listener;

    Slimming(OnnxSlimmer slimmer, SlimmingTarget target) {
        this(
                slimmer,
                target,
                Importance.magnitude(),
                Optional.empty(),
                true,
                (stage, done, total) -> {});
    }

    private Slimming(
            OnnxSlimmer slimmer,
            SlimmingTarget target,
            Importance importance,
            Optional<Inputs> timed,
            boolean wholeBlocks,
            Listener listener) {
        this.slimmer = slimmer;
        this.target = target;
        this.importance = importance;
        this.timed = timed;
        this.wholeBlocks = wholeBlocks;
        this.listener = listener;
    }

    /** Is told how far a slimming is. */
    @FunctionalInterface
    public interface Listener {
        /**
         * Something was done.
         *
         * @param stage what is being done, in words
         * @param done how much of it
         * @param total how much there is of it in all
         */
        void at(String stage, long done, long total);
    }

    /** By what is chosen which units go; {@link Importance#magnitude} if it isn't set. */
    public Slimming importance(Importance by) {
        Needed.of(by, "the importance");
        return new Slimming(slimmer, target, by, by.data().or(() -> timed), wholeBlocks, listener);
    }

    /**
     * The inputs of whose first batch the time is measured and for whose extents multiplications
     * are counted; the calibration data of the importance if it isn't set, or random numbers where
     * there are none, which need the sizes of dimensions that are open.
     */
    public Slimming timedOn(Inputs inputs) {
        Needed.of(inputs, "the inputs");
        return new Slimming(
                slimmer, target, importance, Optional.of(inputs), wholeBlocks, listener);
    }

    /**
     * Takes channels only. Otherwise, where widths are found for a target by second order or
     * activations, whole residual blocks may go too: of a sum {@code x + f(x)}, if nothing else
     * reads what {@code f} computes, its average over the data is left of it, for each channel.
     */
    public Slimming keepBlocks() {
        return new Slimming(slimmer, target, importance, timed, false, listener);
    }

    /** Tells somebody how far it is. */
    public Slimming progress(Listener told) {
        Needed.of(told, "the listener");
        return new Slimming(slimmer, target, importance, timed, wholeBlocks, told);
    }

    /**
     * A part of this slimming: of what the parts before it have left, which may have been trained
     * since, until this share of the way to the target is gone. Of a share of 0.25, 0.5 is left
     * half the way.
     *
     * @param left what the parts before have left of the model
     * @param from how much of the way they have gone, from 0 to below 1
     * @param to how much of it is gone afterwards, to 1
     * @throws EspalierException if the target is a largest drop, which has no half
     */
    public Slimming part(OnnxModel left, double from, double to) {
        return new Slimming(
                slimmer.goingOn(Needed.of(left, "the model that is left")),
                target.part(from, to),
                importance,
                timed,
                wholeBlocks,
                listener);
    }

    /** The model that is slimmed. */
    public OnnxModel model() {
        return slimmer.original();
    }

    /** Whether it can be gone to in parts. */
    public boolean hasParts() {
        return target.kind() != SlimmingTarget.Kind.MAX_DROP;
    }

    /** What goes together in the model, and what stays for which reason. */
    public Groups groups() {
        return prepared().groups();
    }

    /**
     * With weights that can be solved for, and a bias of each convolution that may make up for
     * something.
     */
    private OnnxSlimmer prepared() {
        if (importance instanceof Importance.OnData onData) {
            OnnxSlimmer opened = slimmer.withHalvesOpened();
            return onData.solves() ? opened.withConvolutionBiases() : opened;
        }
        return slimmer;
    }

    /** All that decides what goes, but for the model and the data, in words. */
    @Override
    public String toString() {
        String blocks = wholeBlocks ? "" : ", blocks kept";
        return target + ", " + importance.name() + ", " + slimmer.names() + blocks;
    }

    /**
     * Takes them out, all or none.
     *
     * @throws EspalierException if calibration data doesn't fit the model, scores of one's own are
     *     not one for each unit, gradients are asked for and libtorch can't run the model, nothing
     *     is left that may go, or the target can't be met
     */
    public SlimResult run() {
        if (target.kind() == SlimmingTarget.Kind.MAX_DROP && importance.data().isEmpty()) {
            throw new EspalierException(
                    "A largest drop is measured on calibration data; give an importance that has"
                            + " some.");
        }
        FiniteWeights.require(slimmer.original());
        slimmer.requireSome();
        OnnxSlimmer of = prepared();
        boolean mayBlocksGo = wholeBlocks && target.kind() != SlimmingTarget.Kind.RATIO;
        try (var run = new SlimmingRun(of, importance, mayBlocksGo, listener)) {
            return new TargetedSlimming(of, run, timed, listener).to(target);
        }
    }
}
