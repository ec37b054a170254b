/**
 * Quantization: observers that find the ranges of weights and activations, fake quantization that
 * trains a network for 8 bits, and the steps that turn a float model into an integer one.
 */
@NullMarked
package io.espalier.quant;

import org.jspecify.annotations.NullMarked;
