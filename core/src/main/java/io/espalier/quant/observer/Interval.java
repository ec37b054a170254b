package io.espalier.quant.observer;

/** A range of real numbers. */
record Interval(float min, float max) {}
