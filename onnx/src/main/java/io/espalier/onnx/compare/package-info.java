/** One model held against another on the same inputs: errors, time and memory. */
@NullMarked
package io.espalier.onnx.compare;

import org.jspecify.annotations.NullMarked;
