package io.espalier.cli;

import io.espalier.onnx.lower.LoweredFile;
import io.espalier.onnx.model.OnnxModel;

import java.nio.file.Path;

/** The files that a model is in: its own, and those beside it that hold weights of it. */
final class ModelFiles {
    private ModelFiles() {}

    /** The bytes of all of them. */
    static long bytes(Path model) {
        long beside = LoweredFile.looksLikeOne(model) ? 0 : OnnxModel.load(model).externalBytes();
        return Table.fileBytes(model) + beside;
    }
}
