package io.espalier.data;

import io.espalier.tensor.Needed;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;

/**
 * One element of a dataset.
 *
 * @param input what the model is given, without a batch dimension
 * @param target what it should answer, without a batch dimension
 */
public record Sample(Tensor input, Tensor target) {
    /** Refuses nulls. */
    public Sample {
        Needed.of(input, "the input of an example");
        Needed.of(target, "the target of an example");
    }

    /** An example of a class: the target is a 64-bit integer without dimensions. */
    public static Sample labelled(Tensor input, long label) {
        return new Sample(input, Tensors.of(new long[] {label}));
    }
}
