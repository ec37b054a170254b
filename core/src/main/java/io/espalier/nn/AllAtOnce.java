package io.espalier.nn;

/**
 * Marks the layers that say in {@code forwardAll} what they compute and never ask {@code forward},
 * so that a subclass's {@code forward} comes in its place. A user's own {@code forwardAll} may call
 * {@code forward} itself.
 */
interface AllAtOnce {}
