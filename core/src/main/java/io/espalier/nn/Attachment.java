package io.espalier.nn;

/**
 * What another room notes on a {@link Module}. The tree carries it, through copying and replacing,
 * and knows nothing of its meaning.
 */
public interface Attachment {}
