package io.espalier.quant;

/** A range of real numbers. */
record Interval(float min, float max) {}
