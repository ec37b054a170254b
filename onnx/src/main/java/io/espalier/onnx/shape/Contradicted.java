package io.espalier.onnx.shape;

/** Ends a rule whose operands have extents that no run takes. */
final class Contradicted extends Undecided {
    private static final long serialVersionUID = 1L;

    /** With what the node takes, and why that can't be. */
    Contradicted(String words) {
        super(words);
    }
}
