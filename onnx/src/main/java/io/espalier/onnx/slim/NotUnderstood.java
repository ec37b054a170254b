package io.espalier.onnx.slim;

/** A node does what no rule says, so that what it touches has to stay. */
final class NotUnderstood extends RuntimeException {
    private static final long serialVersionUID = 1;

    NotUnderstood(String why) {
        super(why, null, false, false);
    }
}
