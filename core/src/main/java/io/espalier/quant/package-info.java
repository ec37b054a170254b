/**
 * Quantization: the steps that turn a float model into one of 8-bit integers. {@code Quantization}
 * is the entry, {@code QConfig} says how.
 *
 * <p>What the steps are made of has rooms of its own: {@code observer} finds ranges, {@code fusion}
 * makes one layer of several, {@code qat} rounds in training, {@code layer} computes in integers.
 * Two stand around the steps: {@code accuracy} loses less by them, {@code evaluation} measures what
 * they lose.
 */
@NullMarked
package io.espalier.quant;

import org.jspecify.annotations.NullMarked;
