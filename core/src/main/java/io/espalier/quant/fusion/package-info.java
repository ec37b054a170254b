/**
 * Fusion: a layer, the batch normalization after it and the ReLU after that become one module, for
 * inference or for training. PyTorch's {@code fuse_modules} and {@code torch.ao.nn.intrinsic}.
 *
 * <p>Works on float models and knows nothing of integers. {@code Fusion} is its entry; which chains
 * there are to fuse, {@code ChainFinder} finds.
 */
@Internal
@NullMarked
package io.espalier.quant.fusion;

import io.espalier.tensor.Internal;

import org.jspecify.annotations.NullMarked;
