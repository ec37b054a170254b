/**
 * Quantizing a traced graph, pass by pass: chains of layers are fused, integers placed where they
 * pay, observers put in, and the calibrated graph lowered to the kernels of an engine. It knows no
 * configuration but what each layer is to be packed as; {@code GraphQuantization} is the entry.
 */
@Internal
@NullMarked
package io.espalier.quant.graph;

import io.espalier.tensor.Internal;

import org.jspecify.annotations.NullMarked;
