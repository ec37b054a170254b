package io.espalier.conformance;

/** A case that can't be run because of what is written in it, not because of what Espalier does. */
final class MalformedCase extends RuntimeException {
    private static final long serialVersionUID = 1L;

    MalformedCase(String message) {
        super(message);
    }
}
