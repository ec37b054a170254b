package io.espalier.slim;

import io.espalier.tensor.Internal;

/** Why a rule can't say what an operator does to the channels of its operands. */
@Internal
public final class NotUnderstood extends RuntimeException {
    private static final long serialVersionUID = 1;

    /** Says why, in a few words. */
    public NotUnderstood(String why) {
        super(why, null, false, false);
    }
}
