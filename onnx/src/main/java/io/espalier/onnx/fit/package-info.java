/** Fitting layers of ONNX models to data, one after the other, as the runtime computes them. */
@NullMarked
package io.espalier.onnx.fit;

import org.jspecify.annotations.NullMarked;
