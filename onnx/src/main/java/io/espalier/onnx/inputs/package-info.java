/** What a model is run with: batches of images, text, arrays or made-up numbers. */
@NullMarked
package io.espalier.onnx.inputs;

import org.jspecify.annotations.NullMarked;
