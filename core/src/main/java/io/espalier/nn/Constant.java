package io.espalier.nn;

import io.espalier.tensor.Needed;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;

import java.util.List;

/**
 * Gives the same whatever it is given: what stands where a part of a model was left out, with what
 * that gave on average. The buffer {@code value} has size 1 along each dimension in which it is
 * broadcast.
 */
public final class Constant extends Module {
    /**
     * A module that gives a tensor, which it holds.
     *
     * @param value of any shape
     */
    public Constant(Tensor value) {
        addBuffer("value", Needed.of(value, "the value of a Constant"));
    }

    /** What it gives. */
    public Tensor value() {
        return buffer("value");
    }

    @Override
    public boolean isPure() {
        return true;
    }

    @Override
    protected List<Tensor> forwardAll(List<Tensor> inputs) {
        return List.of(value());
    }

    @Override
    protected String extraRepr() {
        return Repr.tuple(Tensors.shape(value()));
    }
}
