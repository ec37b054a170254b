/** Lowered models in integers: what their values lose by codes, and what goes back to floats. */
@NullMarked
package io.espalier.onnx.quant.graph;

import org.jspecify.annotations.NullMarked;
