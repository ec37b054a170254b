/** Quantization of ONNX models: what becomes integers, how it is fitted, and what that costs. */
@NullMarked
package io.espalier.onnx.quant;

import org.jspecify.annotations.NullMarked;
