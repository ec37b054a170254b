package io.espalier.nn;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.jspecify.annotations.Nullable;

import java.util.List;
import java.util.Optional;
import java.util.function.UnaryOperator;

/**
 * What the batch normalizations share: {@code (x − mean) / √(var + eps) · weight + bias} for each
 * channel, with the batch's statistics in training and the running ones otherwise.
 *
 * <p>Source: Ioffe and Szegedy, <a href="https://arxiv.org/abs/1502.03167">Batch Normalization</a>,
 * 2015.
 */
public abstract class BatchNorm extends Module {
    private long features;
    private final Options options;

    /**
     * How a batch normalization differs from the plain one.
     *
     * @param eps what is added to the variance
     * @param momentum the share of a new batch in the running statistics, in 0…1
     * @param affine whether it has a weight and a bias
     * @param trackRunningStats whether it keeps running statistics; without them the batch's own
     *     are used also for inference
     */
    public record Options(double eps, double momentum, boolean affine, boolean trackRunningStats) {
        /** PyTorch's defaults. */
        public static final Options DEFAULT = new Options(1e-5, 0.1, true, true);

        /** The same with another eps. */
        public Options eps(double value) {
            return new Options(value, momentum, affine, trackRunningStats);
        }

        /** The same with another momentum. */
        public Options momentum(double value) {
            return new Options(eps, value, affine, trackRunningStats);
        }

        /** The same with or without a weight and a bias. */
        public Options affine(boolean value) {
            return new Options(eps, momentum, value, trackRunningStats);
        }

        /** The same with or without running statistics. */
        public Options trackRunningStats(boolean value) {
            return new Options(eps, momentum, affine, value);
        }
    }

    BatchNorm(long features, UnaryOperator<Options> with) {
        this(features, Needed.from(with, Options.DEFAULT, "the options"));
        if (options.affine) {
            addParameter("weight", Tensors.ones(features));
            addParameter("bias", Tensors.zeros(features));
        }
        if (options.trackRunningStats) {
            addStatistics(Tensors.zeros(features), Tensors.ones(features));
        }
    }

    /** A layer of given tensors. */
    BatchNorm(
            @Nullable Tensor weight,
            @Nullable Tensor bias,
            @Nullable Tensor mean,
            @Nullable Tensor var,
            UnaryOperator<Options> with) {
        this(
                channels(weight, bias, mean, var),
                Needed.from(with, Options.DEFAULT, "the options")
                        .affine(weight != null)
                        .trackRunningStats(mean != null));
        Given.add(this, "weight", weight, features);
        Given.add(this, "bias", bias, features);
        if (mean != null && var != null) {
            addStatistics(
                    Given.checked(typeName(), "running_mean", mean, features),
                    Given.checked(typeName(), "running_var", var, features));
        }
    }

    private BatchNorm(long features, Options options) {
        this.features = Extents.requireAtLeast("num_features", features, 1);
        this.options = options;
        requireEps(options.eps);
        if (!(options.momentum >= 0 && options.momentum <= 1)) {
            throw new EspalierException(
                    "momentum must be in 0…1; asked for " + options.momentum + ".");
        }
    }

    private static long channels(
            @Nullable Tensor weight,
            @Nullable Tensor bias,
            @Nullable Tensor mean,
            @Nullable Tensor var) {
        Tensor first = weight == null ? mean : weight;
        if (first == null || (weight == null && bias != null) || (mean == null) != (var == null)) {
            throw new EspalierException(
                    "A batch normalization is given a weight, a weight and a bias, or neither, and"
                            + " a mean and a variance, or neither; but one of the two.");
        }
        return first.numel();
    }

    private void addStatistics(Tensor mean, Tensor var) {
        addBuffer("running_mean", mean);
        addBuffer("running_var", var);
        addBuffer("num_batches_tracked", Tensors.zeros(ScalarType.Long));
    }

    /**
     * A layer like this one over some of its channels only, in this order.
     *
     * @throws EspalierException if an index is out of range or there twice
     */
    public BatchNorm withChannels(long... kept) {
        Selection.require(this, "channels", features, kept);
        var selection = new Selection(this);
        for (String name : List.of("weight", "bias", "running_mean", "running_var")) {
            selection.along(name, 0, kept);
        }
        BatchNorm layer = selection.apply();
        layer.resize(kept.length);
        return layer;
    }

    /** Takes over sizes that its tensors have already. */
    final void resize(long channels) {
        features = channels;
    }

    static void requireEps(double eps) {
        if (!(eps >= 0) || Double.isInfinite(eps)) {
            throw new EspalierException("eps must be at least 0; asked for " + eps + ".");
        }
    }

    /** Whether a tensor of so many dimensions is an input, and how that is said. */
    abstract @Nullable String wrongDimensions(long dimensions);

    /** The weight [C], or {@code null} where it is not affine. */
    public @Nullable Tensor weight() {
        return valueOrNull("weight");
    }

    /** The bias [C], or {@code null} where it is not affine. */
    public @Nullable Tensor bias() {
        return valueOrNull("bias");
    }

    /** The running mean [C], empty where running statistics are not tracked. */
    public Optional<Tensor> runningMean() {
        return hasBuffer("running_mean") ? Optional.of(buffer("running_mean")) : Optional.empty();
    }

    /** The running variance [C], empty where running statistics are not tracked. */
    public Optional<Tensor> runningVar() {
        return hasBuffer("running_var") ? Optional.of(buffer("running_var")) : Optional.empty();
    }

    @Override
    protected boolean isNewer(String buffer) {
        return buffer.equals("num_batches_tracked");
    }

    /** The number of channels. */
    public long numFeatures() {
        return features;
    }

    /** What is added to the variance. */
    public double eps() {
        return options.eps;
    }

    /** The share of a new batch in the running statistics. */
    public double momentum() {
        return options.momentum;
    }

    /** The options it was made with, for a layer like it. */
    public Options options() {
        return options;
    }

    @Override
    public boolean isAtomic() {
        return computesAs(BatchNorm1d.class, BatchNorm2d.class, BatchNorm3d.class);
    }

    @Override
    protected Tensor forward(Tensor x) {
        String wrong = wrongDimensions(x.dim());
        if (wrong != null) {
            throw wrongInput(x, wrong);
        }
        if (x.size(1) != features) {
            throw wrongInput(x, "the input must have " + features + " channels.");
        }
        boolean batchStatistics = isTraining() || !options.trackRunningStats;
        if (batchStatistics && x.numel() == features) {
            throw wrongInput(
                    x,
                    "training needs more than one value per channel; give a larger batch or call"
                            + " eval().");
        }
        if (isTraining() && options.trackRunningStats) {
            buffer("num_batches_tracked").add_(new Scalar(1L));
        }
        return Functional.batchNorm(
                x,
                runningMean().orElse(null),
                runningVar().orElse(null),
                weight(),
                bias(),
                batchStatistics,
                options.momentum,
                options.eps);
    }

    @Override
    protected String extraRepr() {
        return features
                + ", eps="
                + Repr.of(options.eps)
                + ", momentum="
                + Repr.of(options.momentum)
                + ", affine="
                + Repr.of(options.affine)
                + ", bias="
                + Repr.of(hasParameter("bias"))
                + ", track_running_stats="
                + Repr.of(options.trackRunningStats);
    }
}
