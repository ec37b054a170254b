/** Convolutional networks in integers: regions of ONNX Runtime's 8-bit kernels, channels last. */
@NullMarked
package io.espalier.onnx.quant.conv;

import org.jspecify.annotations.NullMarked;
