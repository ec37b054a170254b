/**
 * Methods that make quantized models more accurate, each with its paper: equalization, SmoothQuant
 * and AdaRound change a float model before it is prepared, bias correction changes a converted one.
 *
 * <p>All see a layer as a {@code WeightedLayer}, with input and output channels that can be scaled.
 */
@NullMarked
package io.espalier.quant.accuracy;

import org.jspecify.annotations.NullMarked;
