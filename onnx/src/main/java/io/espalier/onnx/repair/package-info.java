/** Rewrites of ONNX graphs that change no result: what an exporter left behind, cleaned up. */
@NullMarked
package io.espalier.onnx.repair;

import org.jspecify.annotations.NullMarked;
