package io.espalier.onnx.tune;

import io.espalier.onnx.model.OnnxModel;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.function.ToDoubleFunction;

/** The best of several models; the first of those that are alike. */
final class BestFile {
    private final ToDoubleFunction<OnnxModel> loss;
    private final Optional<Path> kept;
    private OnnxModel model;
    private double least;

    /**
     * Begins with a model.
     *
     * @param loss what is to be as little as possible
     * @param kept where the best is written, if it shall be
     */
    BestFile(OnnxModel first, ToDoubleFunction<OnnxModel> loss, Optional<Path> kept) {
        this.loss = loss;
        this.kept = kept;
        this.model = first;
        this.least = loss.applyAsDouble(first);
    }

    /** Takes what an earlier run kept, if that is better. */
    void recall() {
        kept.filter(Files::exists).map(OnnxModel::load).ifPresent(this::offer);
    }

    /** Takes a model, if it is better. */
    void offer(OnnxModel other) {
        double found = loss.applyAsDouble(other);
        if (found < least) {
            least = found;
            model = other;
            kept.ifPresent(other::save);
        }
    }

    OnnxModel model() {
        return model;
    }
}
