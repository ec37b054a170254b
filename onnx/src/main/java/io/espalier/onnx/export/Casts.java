package io.espalier.onnx.export;

import io.espalier.onnx.model.ElementType;

/** Numbers of another type. */
final class Casts {
    private Casts() {}

    /** A value of one type as numbers of another; itself if that is the same. */
    static String to(Draft draft, ElementType type, ElementType from, String value) {
        return type == from ? value : cast(draft, type, value);
    }

    /** A value as numbers of a type. */
    static String cast(Draft draft, ElementType type, String value) {
        return draft.node("Cast", node -> node.with("to", type.code()), value);
    }
}
