package io.espalier.data;

/** Where the batches of an epoch come from. */
@FunctionalInterface
interface BatchSource {
    /** The batch of this number; numbers are asked for one after the other. */
    Batch batch(int number);

    /** Ends the loading; no batch is asked for afterwards. */
    default void close() {}
}
