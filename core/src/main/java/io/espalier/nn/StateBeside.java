package io.espalier.nn;

import io.espalier.tensor.Internal;

/** A module whose calls change something of it besides its parameters and buffers. */
@Internal
public interface StateBeside {
    /**
     * Keeps that as it is now.
     *
     * @return puts it back
     */
    Runnable keepState();
}
