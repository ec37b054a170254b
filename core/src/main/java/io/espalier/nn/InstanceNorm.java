package io.espalier.nn;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.function.UnaryOperator;

/**
 * What the instance normalizations share: {@code (x − mean) / √(var + eps) · weight + bias} for
 * each channel of each example, with its own statistics in training and otherwise.
 *
 * <p>Source: Ulyanov, Vedaldi and Lempitsky, <a href="https://arxiv.org/abs/1607.08022">Instance
 * Normalization</a>, 2016.
 */
public abstract class InstanceNorm extends Module {
    private long features;
    private final Options options;

    /**
     * How an instance normalization differs from the plain one.
     *
     * @param eps what is added to the variance
     * @param affine whether it has a weight and a bias
     */
    public record Options(double eps, boolean affine) {
        /** PyTorch's defaults. */
        public static final Options DEFAULT = new Options(1e-5, false);

        /** The same with another eps. */
        public Options eps(double value) {
            return new Options(value, affine);
        }

        /** The same with or without a weight and a bias. */
        public Options affine(boolean value) {
            return new Options(eps, value);
        }
    }

    InstanceNorm(long features, UnaryOperator<Options> with) {
        this.features = Extents.requireAtLeast("num_features", features, 1);
        this.options = Needed.from(with, Options.DEFAULT, "the options");
        BatchNorm.requireEps(options.eps);
        if (options.affine) {
            addParameter("weight", Tensors.ones(features));
            addParameter("bias", Tensors.zeros(features));
        }
    }

    /** Takes over sizes that its tensors have already. */
    final void resize(long channels) {
        features = channels;
    }

    /** How many dimensions an input has. */
    abstract int dimensions();

    /**
     * A layer like this one over some of its channels only, in this order.
     *
     * @throws EspalierException if an index is out of range or there twice
     */
    public InstanceNorm withChannels(long... kept) {
        Selection.require(this, "channels", features, kept);
        InstanceNorm layer =
                new Selection(this).along("weight", 0, kept).along("bias", 0, kept).apply();
        layer.resize(kept.length);
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

    /** The number of channels. */
    public long numFeatures() {
        return features;
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
        return computesAs(InstanceNorm1d.class, InstanceNorm2d.class, InstanceNorm3d.class);
    }

    /** As PyTorch, also of one example without a batch. */
    @Override
    protected Tensor forward(Tensor x) {
        long channels = x.dim() - dimensions() + 1;
        if (channels < 0 || channels > 1 || x.size(channels) != features) {
            throw wrongInput(
                    x,
                    dimensions()
                            + " dimensions (or one less, without a batch) and "
                            + features
                            + " channels are needed.");
        }
        long values = 1;
        for (long dim = channels + 1; dim < x.dim(); dim++) {
            values *= x.size(dim);
        }
        if (values == 1) {
            throw wrongInput(x, "more than one value for each channel of an example is needed.");
        }
        Tensor batch = channels == 1 ? x : Functional.unsqueeze(x, 0);
        Tensor normal = Functional.groupNorm(batch, features, weight(), bias(), options.eps);
        return channels == 1 ? normal : Functional.squeeze(normal, 0);
    }

    @Override
    protected String extraRepr() {
        return features
                + ", eps="
                + Repr.of(options.eps)
                + ", momentum=0.1, affine="
                + Repr.of(options.affine)
                + ", bias="
                + Repr.of(options.affine)
                + ", track_running_stats=False";
    }
}
