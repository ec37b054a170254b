/**
 * Integers of 8 bits for models whose work is in products with constant matrices, such as BERT:
 * where they stand, what is done against outliers, and which operators compute them. Tables of
 * vectors are stored in 8 or 4 bits.
 */
@NullMarked
package io.espalier.onnx.quant.matmul;

import org.jspecify.annotations.NullMarked;
