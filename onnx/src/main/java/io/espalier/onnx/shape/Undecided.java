package io.espalier.onnx.shape;

/**
 * Ends a rule where something that it needs is not known, or contradicts the operator; what the
 * rule gave until then stays.
 */
final class Undecided extends RuntimeException {
    private static final long serialVersionUID = 1L;

    Undecided() {
        super("It is not known before it runs.", null, false, false);
    }
}
