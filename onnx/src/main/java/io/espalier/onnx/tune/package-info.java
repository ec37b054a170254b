/** Pruning and fine-tuning of ONNX models: the file's own weights change, and nothing else. */
@NullMarked
package io.espalier.onnx.tune;

import org.jspecify.annotations.NullMarked;
