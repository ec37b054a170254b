package io.espalier.conformance;

import io.espalier.nn.Module;

import org.bytedeco.pytorch.Tensor;

/** A module that is nothing but a parameter {@code weight} of any shape and type. */
final class Holder extends Module {
    Holder(Tensor weight) {
        addParameter("weight", weight.detach().clone());
    }
}
