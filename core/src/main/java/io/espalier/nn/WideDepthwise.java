package io.espalier.nn;

import org.bytedeco.pytorch.GradMode;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.MemoryFormat;

/**
 * Depthwise convolutions of wide kernels that train. oneDNN has no kernel of its own for the
 * gradient of their weights: with channels outermost it takes a product for each image and channel,
 * and threads wait for each other thousands of times. With channels innermost the gradients take a
 * half to a third of the time, the change of layout counted.
 */
final class WideDepthwise {
    /** Kernels of 3 by 3 are as fast as they are. */
    private static final long LEAST_AREA = 25;

    private WideDepthwise() {}

    /** Whether a convolution [N, C, H, W] is one of them. */
    static boolean is(Tensor x, Tensor weight, long groups) {
        return groups > 1
                && x.dim() == 4
                && x.size(1) == groups
                && weight.size(0) == groups
                && weight.size(2) * weight.size(3) >= LEAST_AREA
                && GradMode.is_enabled()
                && (x.requires_grad() || weight.requires_grad());
    }

    /** The convolution, with channels outermost before and after. */
    static Tensor conv2d(
            Tensor x,
            Tensor weight,
            TensorOptional bias,
            long[] stride,
            long[] padding,
            long[] dilation,
            long groups) {
        return torch.conv2d(
                        x.contiguous(MemoryFormat.ChannelsLast),
                        weight.contiguous(MemoryFormat.ChannelsLast),
                        bias,
                        stride,
                        padding,
                        dilation,
                        groups)
                .contiguous();
    }
}
