package io.espalier.nn;

import org.bytedeco.pytorch.Tensor;

/**
 * Elements chosen along a dimension.
 *
 * @param values the elements
 * @param indices where each stood along the dimension (64-bit), of the same shape
 */
public record Ranked(Tensor values, Tensor indices) {}
