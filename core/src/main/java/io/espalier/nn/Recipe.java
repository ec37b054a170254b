package io.espalier.nn;

/**
 * How a module is to be quantized, as {@code io.espalier.quant.QConfig} says it: the attachment
 * that {@link Module#qconfig(Recipe)} notes, a name of its own for what every user writes.
 */
public interface Recipe extends Attachment {}
