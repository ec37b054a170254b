package io.espalier.bench;

import io.espalier.nn.Module;

import org.bytedeco.pytorch.Tensor;

/** A module that is nothing but one weight. */
final class Layer extends Module {
    Layer(Tensor weight) {
        addParameter("weight", weight);
    }
}
