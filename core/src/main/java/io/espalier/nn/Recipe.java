package io.espalier.nn;

/**
 * How a module is to be quantized, as {@code io.espalier.quant.QConfig} says it; the tree only
 * carries it.
 */
public interface Recipe {}
