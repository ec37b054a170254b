package io.espalier.nn;

import io.espalier.tensor.EspalierException;
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
    private final long groups;
    private final long channels;
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
        this.groups = Extents.requireAtLeast("num_groups", groups, 1);
        this.channels = Extents.requireAtLeast("num_channels", channels, 1);
        this.options = with.apply(Options.DEFAULT);
        BatchNorm.requireEps(options.eps);
        if (channels % groups != 0) {
            throw new EspalierException(
                    "GroupNorm can't divide "
                            + channels
                            + " channels into "
                            + groups
                            + " groups; the number of groups must divide the channels.");
        }
        if (options.affine) {
            addParameter("weight", Tensors.ones(channels));
            addParameter("bias", Tensors.zeros(channels));
        }
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
