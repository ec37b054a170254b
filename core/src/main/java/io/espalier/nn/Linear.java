package io.espalier.nn;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
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
     */
    public Linear(long in, long out, boolean bias) {
        this.in = in;
        this.out = out;
        double bound = 1 / Math.sqrt(in);
        addParameter(
                "weight",
                torch.empty(out, in)
                        .uniform_(-bound, bound, new org.bytedeco.pytorch.GeneratorOptional()));
        if (bias) {
            addParameter(
                    "bias",
                    torch.empty(out)
                            .uniform_(-bound, bound, new org.bytedeco.pytorch.GeneratorOptional()));
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

    @Override
    protected Tensor forward(Tensor x) {
        return Functional.linear(x, weight(), bias());
    }

    @Override
    protected String extraRepr() {
        return "in_features="
                + in
                + ", out_features="
                + out
                + ", bias="
                + (hasParameter("bias") ? "True" : "False");
    }
}
