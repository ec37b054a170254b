package io.espalier.nn;

/** Why a value of a field can't be copied: the end of a sentence that begins with the field. */
@SuppressWarnings("serial") // never serialized
final class UncopyableException extends RuntimeException {
    UncopyableException(String reason) {
        super(reason);
    }
}
