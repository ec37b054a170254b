/**
 * What quantization costs a model: the whole and each layer compared with the original, how
 * sensitive each layer is, and which few to leave in float.
 */
@NullMarked
package io.espalier.quant.evaluation;

import org.jspecify.annotations.NullMarked;
