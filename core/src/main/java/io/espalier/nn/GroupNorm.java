package io.espalier.nn;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.function.UnaryOperator;

/**
 * Normalizes over groups of channels, each with its elements' own mean and variance: [N, C, *] to
 * the same.
 *
 * <p>Source: Wu and He, <a href="https://arxiv.org/abs/1803.08494">Group Normalization</a>, 2018.
 */
public class GroupNorm extends Module {
    private long groups;
    private long channels;
    private final Options options;

    /**
     * How a group normalization differs from the plain one.
     *
     * @param eps what is added to the variance
     * @param affine whether it has a weight and a bias
     */
    public record Options(double eps, boolean affine) {
        /** PyTorch's defaults. */
        public static final Options DEFAULT = new Options(1e-5, true);

        /** The same with another eps. */
        public Options eps(double value) {
            return new Options(value, affine);
        }

        /** The same with or without a weight and a bias. */
        public Options affine(boolean value) {
            return new Options(eps, value);
        }
    }

    /** A layer with PyTorch's defaults: eps 1e-5, a weight and a bias. */
    public GroupNorm(long groups, long channels) {
        this(groups, channels, options -> options);
    }

    /**
     * A layer with other options, such as {@code o -> o.eps(1e-6)}.
     *
     * @throws EspalierException if a number is out of range or the groups don't divide the channels
     */
    public GroupNorm(long groups, long channels, UnaryOperator<Options> with) {
        this(groups, channels, Needed.from(with, Options.DEFAULT, "the options"));
        if (options.affine) {
            addParameter("weight", Tensors.ones(channels));
            addParameter("bias", Tensors.zeros(channels));
        }
    }

    private GroupNorm(long groups, long channels, Options options) {
        this.groups = Extents.requireAtLeast("num_groups", groups, 1);
        this.channels = Extents.requireAtLeast("num_channels", channels, 1);
        this.options = options;
        BatchNorm.requireEps(options.eps);
        if (channels % groups != 0) {
            throw new EspalierException(
                    "GroupNorm can't divide "
                            + channels
                            + " channels into "
                            + groups
                            + " groups; the number of groups must divide the channels.");
        }
    }

    /**
     * A layer of these tensors [C], which it holds as they are.
     *
     * @throws EspalierException if a tensor has another shape, or the groups don't divide the
     *     channels
     */
    public static GroupNorm of(
            long groups, Tensor weight, Tensor bias, UnaryOperator<Options> with) {
        var layer =
                new GroupNorm(
                        groups,
                        Given.count("GroupNorm", "weight", weight),
                        Needed.from(with, Options.DEFAULT, "the options").affine(true));
        layer.addParameter("weight", Given.checked("GroupNorm", "weight", weight, layer.channels));
        layer.addParameter("bias", Given.checked("GroupNorm", "bias", bias, layer.channels));
        return layer;
    }

    /**
     * A layer like this one over some channels only, as many of each group, in the groups' order;
     * mean and variance are those of what is kept.
     *
     * @throws EspalierException if an index is out of range or there twice, or the groups differ
     */
    public GroupNorm withChannels(long... kept) {
        Selection.byGroup(this, "channels", channels, groups, kept);
        return with(groups, kept);
    }

    /**
     * A layer like this one with some of its groups only, in this order, and their channels.
     *
     * @throws EspalierException if an index is out of range or there twice
     */
    public GroupNorm withGroups(long... kept) {
        Selection.require(this, "groups", groups, kept);
        return with(kept.length, Selection.blocks(channels / groups, kept));
    }

    /** Takes over sizes that its tensors have already. */
    final void resize(long newGroups, long newChannels) {
        groups = newGroups;
        channels = newChannels;
    }

    private GroupNorm with(long newGroups, long... kept) {
        GroupNorm layer =
                new Selection(this).along("weight", 0, kept).along("bias", 0, kept).apply();
        layer.resize(newGroups, kept.length);
        return layer;
    }

    /** The weight [C], or {@code null} where it is not affine. */
    public @Nullable Tensor weight() {
        return valueOrNull("weight");
    }

    /** The bias [C], or {@code null} where it is not affine. */
    public @Nullable Tensor bias() {
        return valueOrNull("bias");
    }

    /** The number of groups. */
    public long numGroups() {
        return groups;
    }

    /** The number of channels. */
    public long numChannels() {
        return channels;
    }

    /** What is added to the variance. */
    public double eps() {
        return options.eps;
    }

    /** The options it was made with, for a layer like it. */
    public Options options() {
        return options;
    }

    @Override
    public boolean isAtomic() {
        return computesAs(GroupNorm.class);
    }

    @Override
    protected Tensor forward(Tensor x) {
        if (x.dim() < 2 || x.size(1) != channels) {
            throw wrongInput(x, "the input must be [N, C, *] with C = " + channels + ".");
        }
        return Functional.groupNorm(x, groups, weight(), bias(), options.eps);
    }

    @Override
    protected String extraRepr() {
        return groups
                + ", "
                + channels
                + ", eps="
                + Repr.of(options.eps)
                + ", affine="
                + Repr.of(options.affine);
    }
}
