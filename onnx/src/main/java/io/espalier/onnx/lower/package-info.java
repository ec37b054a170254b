/** ONNX's graphs as core's: modules with parameters and libtorch's operators. */
@NullMarked
package io.espalier.onnx.lower;

import org.jspecify.annotations.NullMarked;
