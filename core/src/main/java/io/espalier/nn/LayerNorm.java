package io.espalier.nn;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.Arrays;
import java.util.function.UnaryOperator;

/**
 * Normalizes over the last dimensions: {@code (x − mean) / √(var + eps) · weight + bias}; [*,
 * shape…] to the same.
 *
 * <p>Source: Ba, Kiros and Hinton, <a href="https://arxiv.org/abs/1607.06450">Layer
 * Normalization</a>, 2016.
 */
public class LayerNorm extends Module {
    private long[] shape;
    private final Options options;

    /**
     * How a layer normalization differs from the plain one.
     *
     * @param eps what is added to the variance
     * @param elementwiseAffine whether it has a weight
     * @param bias whether it has a bias, if it has a weight
     */
    public record Options(double eps, boolean elementwiseAffine, boolean bias) {
        /** PyTorch's defaults. */
        public static final Options DEFAULT = new Options(1e-5, true, true);

        /** The same with another eps. */
        public Options eps(double value) {
            return new Options(value, elementwiseAffine, bias);
        }

        /** The same with or without weight and bias. */
        public Options elementwiseAffine(boolean value) {
            return new Options(eps, value, bias);
        }

        /** The same with or without a bias. */
        public Options bias(boolean value) {
            return new Options(eps, elementwiseAffine, value);
        }
    }

    /** Normalizes over the last dimension, which has so many elements. */
    public LayerNorm(long size) {
        this(new long[] {size}, options -> options);
    }

    /** Normalizes over the last dimension, with other options such as {@code o -> o.eps(1e-12)}. */
    public LayerNorm(long size, UnaryOperator<Options> with) {
        this(new long[] {size}, with);
    }

    /**
     * Normalizes over the last dimensions, which have this shape.
     *
     * @throws EspalierException if the shape is empty or a number is out of range
     */
    public LayerNorm(long[] shape, UnaryOperator<Options> with) {
        this(shape, Needed.from(with, Options.DEFAULT, "the options"));
        if (options.elementwiseAffine) {
            addParameter("weight", Tensors.ones(shape));
            if (options.bias) {
                addParameter("bias", Tensors.zeros(shape));
            }
        }
    }

    private LayerNorm(long[] shape, Options options) {
        this.shape = Needed.of(shape, "the shape to normalize").clone();
        this.options = options;
        if (shape.length == 0) {
            throw new EspalierException(
                    "LayerNorm needs at least one dimension to normalize over.");
        }
        for (long size : shape) {
            Extents.requireAtLeast("normalized_shape", size, 1);
        }
        BatchNorm.requireEps(options.eps);
    }

    /**
     * A layer of these tensors, which it holds as they are: weight, of the shape of the dimensions
     * that are normalized over, and bias or {@code null}.
     *
     * @throws EspalierException if the bias has another shape
     */
    public static LayerNorm of(Tensor weight, @Nullable Tensor bias, UnaryOperator<Options> with) {
        Options options =
                Needed.from(with, Options.DEFAULT, "the options")
                        .elementwiseAffine(true)
                        .bias(bias != null);
        var layer = new LayerNorm(Tensors.shape(weight), options);
        Given.add(layer, "weight", weight, layer.shape);
        Given.add(layer, "bias", bias, layer.shape);
        return layer;
    }

    /**
     * A layer like this one over some features only, in this order; mean and variance are those of
     * what is kept.
     *
     * @throws EspalierException if an index is out of range or there twice, or the layer normalizes
     *     over several dimensions
     */
    public LayerNorm withFeatures(long... kept) {
        if (shape.length != 1) {
            throw new EspalierException(
                    "Features are chosen of one dimension; this is " + this + ".");
        }
        Selection.require(this, "features", shape[0], kept);
        LayerNorm layer =
                new Selection(this).along("weight", 0, kept).along("bias", 0, kept).apply();
        layer.resize(kept.length);
        return layer;
    }

    /** Takes over sizes that its tensors have already. */
    final void resize(long... sizes) {
        shape = sizes.clone();
    }

    /** The weight, or {@code null} where it has none. */
    public @Nullable Tensor weight() {
        return valueOrNull("weight");
    }

    /** The bias, or {@code null} where it has none. */
    public @Nullable Tensor bias() {
        return valueOrNull("bias");
    }

    /** The shape of the dimensions that are normalized over. */
    public long[] normalizedShape() {
        return shape.clone();
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
        return computesAs(LayerNorm.class);
    }

    @Override
    protected Tensor forward(Tensor x) {
        long[] given = Tensors.shape(x);
        int from = given.length - shape.length;
        if (from < 0 || !Arrays.equals(given, from, given.length, shape, 0, shape.length)) {
            throw wrongInput(x, "the last dimensions must be " + Arrays.toString(shape) + ".");
        }
        return Functional.layerNorm(x, shape, weight(), bias(), options.eps);
    }

    @Override
    protected String extraRepr() {
        return Repr.tuple(shape)
                + ", eps="
                + Repr.of(options.eps)
                + ", elementwise_affine="
                + Repr.of(options.elementwiseAffine);
    }
}
