package io.espalier.onnx.shape;

/**
 * Ends a rule where something that it needs is not known, or contradicts the operator; what the
 * rule gave until then stays.
 */
class Undecided extends RuntimeException {
    private static final long serialVersionUID = 1L;

    Undecided() {
        this("It is not known before it runs.");
    }

    Undecided(String words) {
        super(words, null, false, false);
    }
}
