package io.espalier.slim;

import io.espalier.prune.Importance;
import io.espalier.tensor.Needed;

import org.bytedeco.pytorch.Tensor;

import java.util.SplittableRandom;
import java.util.function.Function;

/** By what is chosen which units of a Java model go: those that matter least. */
public sealed interface ChannelImportance {
    /** How much each unit of a group matters; those of the lowest scores go. */
    @FunctionalInterface
    interface Scores {
        /**
         * A score for each unit, in their order.
         *
         * @param values what the model computes with, masks applied, by the names of constants that
         *     the units' slices have
         */
        double[] of(Group group, Function<String, Tensor> values);
    }

    /** By the squares of all weights that compute and read a unit. */
    static ChannelImportance magnitude() {
        return new Scored("magnitude", (group, values) -> UnitSums.magnitude(values).of(group));
    }

    /** By chance, the same for the same seed. */
    static ChannelImportance random(long seed) {
        return new Scored(
                "chance",
                (group, values) ->
                        new SplittableRandom(seed + group.number())
                                .doubles(group.units().size())
                                .toArray());
    }

    /**
     * By the absolute value of the scale that a batch normalization gives a channel, which training
     * with a penalty on scales makes small (Liu et al., <a
     * href="https://arxiv.org/abs/1708.06519">Learning Efficient Convolutional Networks through
     * Network Slimming</a>, 2017). Groups without one are chosen by magnitude.
     */
    static ChannelImportance batchNormScale() {
        return new BatchNormScale();
    }

    /**
     * By the sums of the scores of all entries of the weights that compute and read a unit, such as
     * {@link Importance#gradient}: what the loss changes, to first order, when they are zero.
     */
    static ChannelImportance of(Importance entries) {
        return new OfEntries(Needed.of(entries, "the importance"));
    }

    /**
     * By what the layers that read a unit give because of it: the squares of their weights times
     * those of what they are given.
     *
     * @param calibration batches of typical inputs, gone through many times
     */
    static ChannelImportance activation(Iterable<Tensor> calibration) {
        return new OnData(Needed.of(calibration, "the calibration data"), false);
    }

    /**
     * By what the layers that read a unit lose if it goes and what stays makes up for it: their
     * weights and biases are solved anew by least squares, to give what they gave before. Groups
     * that no linear layer or plain convolution reads are chosen by magnitude.
     *
     * @param calibration batches of typical inputs, gone through many times
     * @see BrainSurgeon
     */
    static ChannelImportance secondOrder(Iterable<Tensor> calibration) {
        return new OnData(Needed.of(calibration, "the calibration data"), true);
    }

    /** By scores of one's own. */
    static ChannelImportance of(Scores scores) {
        return new Scored("scores", Needed.of(scores, "the scores"));
    }

    /**
     * Without data.
     *
     * @param words what it is called
     */
    record Scored(String words, Scores scores) implements ChannelImportance {}

    /** By scales of batch normalizations. */
    record BatchNormScale() implements ChannelImportance {}

    /**
     * With data.
     *
     * @param solves whether what stays makes up for what goes
     */
    record OnData(Iterable<Tensor> calibration, boolean solves) implements ChannelImportance {}

    /** By scores of single entries. */
    record OfEntries(Importance entries) implements ChannelImportance {}
}
