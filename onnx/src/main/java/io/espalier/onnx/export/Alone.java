package io.espalier.onnx.export;

import io.espalier.nn.Module;

import org.bytedeco.pytorch.Tensor;

import java.util.List;

/** A layer that is a whole model, as the only step of a graph. */
final class Alone extends Module {
    /** A name that no module of a user's can have: names hold no spaces. */
    private static final String PLACE = "the model";

    private final Module layer;

    Alone(Module layer) {
        this.layer = add(PLACE, layer.<Module>alias());
        training(false);
    }

    /** The path in the model that is exported. */
    static String placeOf(String path) {
        return path.equals(PLACE) ? "" : path;
    }

    /** The name of a value in the file. */
    static String nameOf(String value) {
        return value.equals(PLACE) ? "output" : value;
    }

    @Override
    protected List<Tensor> forwardAll(List<Tensor> inputs) {
        return layer.callAll(inputs);
    }
}
