package io.espalier.slim;

import io.espalier.tensor.Internal;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarTypeOptional;
import org.bytedeco.pytorch.Tensor;

/**
 * What a layer loses by an input that goes when nothing makes up for it and inputs have nothing to
 * do with each other: {@code |W_j|² |x_j|²} (Sun et al., <a
 * href="https://arxiv.org/abs/2306.11695">A Simple and Effective Pruning Approach for Large
 * Language Models</a>, 2023, for whole inputs).
 */
@Internal
public final class InputActivity implements InputCosts {
    private final Tensor weight;
    private final Tensor losses;

    private InputActivity(Tensor weight, Tensor losses) {
        this.weight = weight;
        this.losses = losses;
    }

    /**
     * Takes a layer as it is.
     *
     * @param xx means of products of inputs, doubles [inputs, inputs]
     * @param weight doubles [inputs, outputs]
     */
    public static InputActivity of(Tensor xx, Tensor weight) {
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            double energy = weight.mul(xx.matmul(weight)).sum().item_double();
            Tensor losses =
                    weight.square()
                            .sum(new long[] {1}, false, new ScalarTypeOptional())
                            .mul(xx.diagonal())
                            .div(new Scalar(energy > 0 ? energy : 1));
            return new InputActivity(Tensors.keep(weight.clone()), Tensors.keep(losses));
        }
    }

    @Override
    public Tensor losses(Tensor units) {
        return losses.take(units).sum(new long[] {1}, false, new ScalarTypeOptional());
    }

    @Override
    public void remove(Tensor inputs) {
        try (var noGrad = new NoGradGuard()) {
            weight.index_fill_(0, inputs, new Scalar(0));
            losses.index_fill_(0, inputs, new Scalar(0));
        }
    }

    @Override
    public Tensor weight() {
        return weight;
    }

    @Override
    public InputCosts copy() {
        try (var scope = new PointerScope()) {
            return new InputActivity(Tensors.keep(weight.clone()), Tensors.keep(losses.clone()));
        }
    }

    @Override
    public void close() {
        weight.releaseReference();
        losses.releaseReference();
    }
}
