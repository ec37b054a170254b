package io.espalier.slim;

import io.espalier.graph.GraphModule;
import io.espalier.nn.Constant;
import io.espalier.nn.Identity;
import io.espalier.nn.Module;
import io.espalier.prune.Importance;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;
import io.espalier.train.OptimizerMoments;

import org.bytedeco.pytorch.Optimizer;
import org.bytedeco.pytorch.Tensor;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/**
 * Takes channels, heads and neurons out of a Java model, with all weights that compute and read
 * them, so that it has fewer parameters and less to do. It never changes: each setting gives
 * another; {@link #run} changes the model.
 *
 * <pre>{@code
 * SlimResult result = Slimming.of(model, example)
 *         .speedup(1.5)
 *         .importance(ChannelImportance.secondOrder(batches))
 *         .run();
 * }</pre>
 *
 * <p>What goes together is found from the program that the model computes on the example; what an
 * operator that is not understood touches stays, and so do inputs and results. Parameters and
 * buffers stay the tensors that they are and have other extents, and layers know their new sizes,
 * so fields, optimizers and masks go on.
 */
public final class Slimming {
    private final ModelSlimmer slimmer;
    private final SlimmingChoice choice;

    private Slimming(ModelSlimmer slimmer, SlimmingChoice choice) {
        this.slimmer = slimmer;
        this.choice = choice;
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

    /**
     * A slimming of a model, which takes half of the channels of every group unless told otherwise.
     *
     * @param example what the model is called with, so many tensors as it takes
     * @throws EspalierException if the model can't be traced; the message names the line
     */
    public static Slimming of(Module model, Tensor... example) {
        List<Tensor> inputs = Needed.all(example, "the example");
        synchronized (Needed.of(model, "the model to slim")) {
            return new Slimming(ModelSlimmer.of(model, inputs), SlimmingChoice.DEFAULT);
        }
    }

    /**
     * Takes out of a model what masks or zeros have emptied: channels that are zero everywhere, or
     * that all that reads them multiplies by zero. A channel that is the same number everywhere,
     * since only a bias or a shift is left of what computes it, becomes part of the biases after
     * it; where it can't, as before a padded convolution, whose borders it doesn't reach, it stays,
     * and so does one of each group. Results are the same within rounding.
     *
     * @param example what the model is called with, so many tensors as it takes
     * @throws EspalierException if the model can't be traced, or does something else without what
     *     was emptied; then it is as it was
     */
    public static SlimResult removePruned(Module model, Tensor... example) {
        List<Tensor> inputs = Needed.all(example, "the example");
        synchronized (Needed.of(model, "the model to slim")) {
            return new PrunedRemoval(model, inputs).run();
        }
    }

    /**
     * The share of the units of each group that stays, at least one; wide groups keep a multiple of
     * 8 or 16, which kernels take at once.
     *
     * @throws EspalierException unless it is above 0, and 1 or less
     */
    public Slimming ratio(double share) {
        return to(SlimmingTarget.Kind.RATIO, share);
    }

    /**
     * The share of all multiplications of a call with the example that stays: each group gets a
     * width of its own, so that least is lost.
     *
     * @throws EspalierException unless it is above 0, and 1 or less
     */
    public Slimming macs(double share) {
        return to(SlimmingTarget.Kind.MACS, share);
    }

    /**
     * The same for parameters.
     *
     * @throws EspalierException unless the share is above 0, and 1 or less
     */
    public Slimming parameters(double share) {
        return to(SlimmingTarget.Kind.PARAMETERS, share);
    }

    /**
     * The same for the bytes of parameters and buffers.
     *
     * @throws EspalierException unless the share is above 0, and 1 or less
     */
    public Slimming bytes(double share) {
        return to(SlimmingTarget.Kind.BYTES, share);
    }

    /**
     * How many times as fast a call with the example is to be as measured on this machine, within a
     * few hundredths: each group gets a width of its own, so that least is lost.
     *
     * @throws EspalierException unless it is 1 or more
     */
    public Slimming speedup(double times) {
        return to(SlimmingTarget.Kind.SPEEDUP, times);
    }

    /**
     * How far results may be from the model's on the calibration data that the importance needs;
     * what is fastest with no more is taken.
     *
     * @param drop 1 less the cosine of the results, as a mean
     * @throws EspalierException unless it is above 0, and below 1
     */
    public Slimming maxDrop(double drop) {
        return to(SlimmingTarget.Kind.MAX_DROP, drop);
    }

    private Slimming to(SlimmingTarget.Kind kind, double value) {
        return new Slimming(slimmer, choice.target(new SlimmingTarget(kind, value)));
    }

    /** By what is chosen which units go; {@link ChannelImportance#magnitude} if it isn't set. */
    public Slimming importance(ChannelImportance by) {
        return new Slimming(slimmer, choice.importance(Needed.of(by, "the importance")));
    }

    /** By the sums of the scores of single entries: {@link ChannelImportance#of(Importance)}. */
    public Slimming importance(Importance entries) {
        return importance(ChannelImportance.of(entries));
    }

    /**
     * Lets only channels be taken that these layers make, besides those named before.
     *
     * @param patterns paths of modules or names of tensors, in which {@code *} stands for anything
     * @throws EspalierException if nothing that can be removed has such a name
     */
    public Slimming only(String... patterns) {
        for (String pattern : Needed.all(patterns, "the names of layers")) {
            if (slimmer.groups().all().stream()
                    .noneMatch(group -> slimmer.names().makes(pattern, group))) {
                throw new EspalierException(
                        "Nothing that can be removed is named '%s'; the groups tell what can."
                                .formatted(pattern));
            }
        }
        return new Slimming(slimmer, choice.names(joined(choice.only(), patterns), choice.keep()));
    }

    /**
     * Lets no channel be taken that these layers make or read, besides those named before.
     *
     * @param patterns paths of modules or names of tensors, in which {@code *} stands for anything
     * @throws EspalierException if the model has none of such a name
     */
    public Slimming keep(String... patterns) {
        for (String pattern : Needed.all(patterns, "the names of layers")) {
            slimmer.names().require(pattern);
        }
        return new Slimming(slimmer, choice.names(choice.only(), joined(choice.keep(), patterns)));
    }

    private static List<String> joined(List<String> some, String... more) {
        return Stream.concat(some.stream(), Stream.of(more)).toList();
    }

    /**
     * Takes channels only. Otherwise, where widths are found for a target by second order or
     * activations, whole residual {@link #blocks} may go too: of a sum {@code x + f(x)} what {@code
     * f} gives on average is left of it, for each channel.
     */
    public Slimming keepBlocks() {
        return new Slimming(slimmer, choice.keepingBlocks());
    }

    /** Tells somebody how far it is. */
    public Slimming progress(Listener told) {
        return new Slimming(slimmer, choice.listener(Needed.of(told, "the listener")));
    }

    /**
     * Lets what an optimizer remembers of the parameters, such as momentum, follow, so that a
     * training goes on; another than those named before.
     *
     * @throws EspalierException if it holds none of the model's parameters
     */
    public Slimming optimizer(Optimizer one) {
        OptimizerMoments.requireOf(slimmer.model(), Needed.of(one, "the optimizer"));
        List<Optimizer> all = new ArrayList<>(choice.optimizers());
        all.add(one);
        return new Slimming(slimmer, choice.optimizers(List.copyOf(all)));
    }

    /** What can go, and what can't for which reason. */
    public Groups groups() {
        return slimmer.groups();
    }

    /**
     * The residual blocks that may go as a whole, and others that can't for which reason. In the
     * place of the module that gives what a block adds comes a {@link Constant}, in the places of
     * the modules before it an {@link Identity}; nothing else may read what they give, and all that
     * multiplies has to be in such modules. A model that hooks watch, as they do one that trains
     * for integers, has none, nor has a {@link GraphModule}, whose program stays as it is written.
     */
    public List<ResidualBlock> blocks() {
        return slimmer.blocks().stream().map(ModelBlocks.Found::told).toList();
    }

    /**
     * Takes them out, all or none.
     *
     * @throws EspalierException if the model has changed since, no layer is left to take channels
     *     from, scores of one's own are not one for each unit or entry, the target can't be met, or
     *     the model's code does something else without the channels; then it is as it was
     */
    public SlimResult run() {
        // Of two threads that slim one model the second finds it changed.
        synchronized (slimmer.model()) {
            slimmer.requireUnchanged();
            return new SlimmingRun(
                            slimmer,
                            choice.groups(slimmer),
                            choice.takes(slimmer),
                            choice.importance(),
                            choice.optimizers(),
                            choice.listener())
                    .to(choice.target());
        }
    }
}
