package io.espalier.quant.layer;

import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;

/**
 * The layout in which the integer convolutions compute, [N, H, W, C] in memory under the shape [N,
 * C, H, W]. Pictures come in planes; a kernel would convert them by itself, at half the speed of
 * interleaving the few planes that a picture has.
 */
final class ChannelsLast {
    private static final int FEW = 4;

    private ChannelsLast() {}

    /** Unsigned integers [N, C, H, W] in this layout. */
    static Tensor of(Tensor integers) {
        return isFewPlanes(integers)
                ? interleaved(integers)
                : integers.contiguous(torch.MemoryFormat.ChannelsLast);
    }

    /** A quantized picture in this layout; what the kernel converts as fast is left to it. */
    static Tensor ofPicture(Tensor quantized) {
        if (!isFewPlanes(quantized)) {
            return quantized;
        }
        PointerScope outer = PointerScope.getInnerScope();
        try (var scope = new PointerScope()) {
            return Tensors.handOver(
                    Tensors.quantized(
                            interleaved(Tensors.integers(quantized)),
                            quantized.q_scale(),
                            quantized.q_zero_point()),
                    outer);
        }
    }

    private static boolean isFewPlanes(Tensor x) {
        return x.dim() == 4
                && x.size(1) <= FEW
                && x.is_contiguous()
                && !x.is_contiguous(torch.MemoryFormat.ChannelsLast);
    }

    private static Tensor interleaved(Tensor planes) {
        PointerScope outer = PointerScope.getInnerScope();
        try (var scope = new PointerScope()) {
            var each = new TensorVector();
            for (long channel = 0; channel < planes.size(1); channel++) {
                each.push_back(planes.select(1, channel));
            }
            return Tensors.handOver(torch.stack(each, 3).permute(0, 3, 1, 2), outer);
        }
    }
}
