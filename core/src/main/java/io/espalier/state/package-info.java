/**
 * Tensors in files: safetensors, read with everything that a file claims checked first, and written
 * in one step.
 */
@NullMarked
package io.espalier.state;

import org.jspecify.annotations.NullMarked;
