/**
 * Quantization-aware training: layers whose weights are rounded while they train, and the fake
 * quantizations that round, learned ones too. PyTorch's {@code torch.ao.quantization.fake_quantize}
 * and {@code torch.ao.nn.qat}.
 */
@NullMarked
package io.espalier.quant.qat;

import org.jspecify.annotations.NullMarked;
