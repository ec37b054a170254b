/**
 * Channels, heads and neurons of ONNX files removed, so that what is left is smaller and faster.
 */
@NullMarked
package io.espalier.onnx.slim;

import org.jspecify.annotations.NullMarked;
