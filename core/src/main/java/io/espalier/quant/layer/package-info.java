/**
 * The layers of a quantized model, on libtorch's int8 kernels: static ({@code PackedLayer}, {@code
 * QuantizedOperation}), dynamic ({@code DynamicLayer}), tables of vectors, recurrent networks, and
 * the kernels that a graph is converted to ({@code IntegerKernels}). PyTorch's {@code
 * torch.ao.nn.quantized}.
 *
 * <p>Each is made of one float layer, how its weight becomes integers ({@code Packing}), and the
 * ranges of its activations; none knows the model around it. {@code SavedLayers} describes them in
 * files and makes them of a file again. {@code LayerKind} says which form a layer has in each step;
 * {@code LayerKinds} is the catalogue.
 */
@Internal
@NullMarked
package io.espalier.quant.layer;

import io.espalier.tensor.Internal;

import org.jspecify.annotations.NullMarked;
