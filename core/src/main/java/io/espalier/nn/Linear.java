package io.espalier.nn;

import io.espalier.tensor.EspalierException;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

/** {@code y = x Wᵀ + b}: [*, in] to [*, out]. */
public class Linear extends Module {
    private final long in;
    private final long out;

    /** A layer with a bias. */
    public Linear(long in, long out) {
        this(in, out, true);
    }

    /**
     * A layer with or without a bias; weight [out, in] and bias [out] drawn from U(−1/√in, 1/√in).
     *
     * @throws EspalierException if a size is below 1
     */
    public Linear(long in, long out, boolean bias) {
        this.in = Extents.requireAtLeast("in_features", in, 1);
        this.out = Extents.requireAtLeast("out_features", out, 1);
        addParameter("weight", Init.kaimingUniform(in, out, in));
        if (bias) {
            addParameter("bias", Init.bias(in, out));
        }
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

    @Override
    protected Tensor forward(Tensor x) {
        Inputs.requireFeatures(this, x, in);
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
