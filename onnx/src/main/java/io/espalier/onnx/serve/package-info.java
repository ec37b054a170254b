/** Compressed models at work in a program, by whichever runtime. */
@NullMarked
package io.espalier.onnx.serve;

import org.jspecify.annotations.NullMarked;
