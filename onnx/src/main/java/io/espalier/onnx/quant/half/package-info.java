/** Weights kept in 16 bits, computed with in 32. */
@NullMarked
package io.espalier.onnx.quant.half;

import org.jspecify.annotations.NullMarked;
