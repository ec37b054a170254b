/** Models run by ONNX Runtime: results, taps on any value, and time. */
@NullMarked
package io.espalier.onnx.run;

import org.jspecify.annotations.NullMarked;
