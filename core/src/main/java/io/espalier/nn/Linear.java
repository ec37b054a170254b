package io.espalier.nn;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.List;
import java.util.function.UnaryOperator;

/** {@code y = x Wᵀ + b}: [*, in] to [*, out]. */
public class Linear extends Module {
    private long in;
    private long out;

    /**
     * How a linear layer differs from the plain one.
     *
     * @param bias whether a bias is added
     */
    public record Options(boolean bias) {
        /** PyTorch's default: a bias. */
        public static final Options DEFAULT = new Options(true);

        /** The same with or without a bias. */
        @SuppressWarnings("UnusedVariable") // one option now, as the others have several
        public Options bias(boolean value) {
            return new Options(value);
        }
    }

    /** A layer with a bias. */
    public Linear(long in, long out) {
        this(in, out, options -> options);
    }

    /**
     * A layer that differs from the default, such as {@code o -> o.bias(false)}; weight [out, in]
     * and bias [out] drawn from U(−1/√in, 1/√in).
     *
     * @throws EspalierException if a size is below 1
     */
    public Linear(long in, long out, UnaryOperator<Options> with) {
        this.in = Extents.requireAtLeast("in_features", in, 1);
        this.out = Extents.requireAtLeast("out_features", out, 1);
        addParameter("weight", Init.kaimingUniform(in, out, in));
        if (Needed.from(with, Options.DEFAULT, "the options").bias()) {
            addParameter("bias", Init.bias(in, out));
        }
    }

    Linear(Tensor weight, @Nullable Tensor bias) {
        Given.requireDimensions("Linear", weight, 2);
        this.in = weight.size(1);
        this.out = weight.size(0);
        addParameter("weight", weight);
        Given.add(this, "bias", bias, out);
    }

    /**
     * A layer of these tensors, which it holds as they are: weight [out, in], bias [out] or {@code
     * null}.
     *
     * @throws EspalierException if a tensor has another shape
     */
    public static Linear of(Tensor weight, @Nullable Tensor bias) {
        return new Linear(weight, bias);
    }

    /**
     * A layer like this one that takes some of its inputs only, in this order; masks go with their
     * weights.
     *
     * @throws EspalierException if an index is out of range or there twice
     */
    public Linear withInputs(long... kept) {
        Selection.require(this, "input features", in, kept);
        Linear layer = new Selection(this).along("weight", 1, kept).apply();
        layer.in = kept.length;
        return layer;
    }

    /**
     * A layer like this one that gives some of its outputs only, in this order; masks go with their
     * weights.
     *
     * @throws EspalierException if an index is out of range or there twice
     */
    public Linear withOutputs(long... kept) {
        Selection.require(this, "output features", out, kept);
        Linear layer = new Selection(this).along("weight", 0, kept).along("bias", 0, kept).apply();
        layer.out = kept.length;
        return layer;
    }

    /** Takes over sizes that its tensors have already. */
    final void resize(long inFeatures, long outFeatures) {
        in = inFeatures;
        out = outFeatures;
    }

    /** The weight [out, in] as {@code forward} sees it. */
    public Tensor weight() {
        return value("weight");
    }

    /** The bias [out], or {@code null} where the layer has none. */
    public @Nullable Tensor bias() {
        return valueOrNull("bias");
    }

    /** The size of the last dimension of the input. */
    public long inFeatures() {
        return in;
    }

    /** The size of the last dimension of the output. */
    public long outFeatures() {
        return out;
    }

    /** The options it was made with, for a layer like it. */
    public Options options() {
        return new Options(hasParameter("bias"));
    }

    @Override
    public long multiplications(List<long[]> inputs, List<long[]> outputs) {
        return multiplications(parameter(storedName("weight")), outputs.getFirst());
    }

    @Override
    public boolean isAtomic() {
        return computesAs(Linear.class);
    }

    @Override
    protected Tensor forward(Tensor x) {
        LayerInputs.requireFeatures(this, x, in);
        return Functional.linear(x, weight(), bias());
    }

    @Override
    protected String extraRepr() {
        return "in_features="
                + in
                + ", out_features="
                + out
                + ", bias="
                + Repr.of(hasParameter("bias"));
    }
}
