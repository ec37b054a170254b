package io.espalier.tensor;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.MemoryFormatOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.MemoryFormat;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.jspecify.annotations.Nullable;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/**
 * The maximum under a window moved over quantized pictures [N, C, H, W] of few channels, the same
 * as libtorch's. Its kernel compares {@value #AT_ONCE} channels at once and what is left of them
 * one by one; {@link MaxOfBytes} compares all bytes of some rows at once.
 */
@Internal
public final class QuantizedMaxPool {
    /** The bytes of a vector in libtorch's kernel. */
    private static final int AT_ONCE = 32;

    /** More vectors than this for a channel that is left, and libtorch's kernel is the faster. */
    private static final int VECTORS = 4;

    /** So many comparisons one by one take as long as it takes to begin here. */
    private static final long COMPARISONS = 30_000;

    /** What is worth a thread of its own, in bytes. */
    private static final long GRAIN = 1 << 20;

    private final long[] kernel;
    private final long[] stride;
    private final long[] padding;
    private final boolean isPlain;

    /** One of these settings, which mean what they mean to libtorch. */
    public QuantizedMaxPool(
            long[] kernel, long[] stride, long[] padding, long[] dilation, boolean ceilMode) {
        this.kernel = kernel.clone();
        this.stride = (stride.length == 0 ? kernel : stride).clone();
        this.padding = padding.clone();
        this.isPlain =
                !ceilMode
                        && kernel.length == 2
                        && this.stride.length == 2
                        && padding.length == 2
                        && Arrays.stream(dilation).allMatch(gap -> gap == 1)
                        && isWindow(0)
                        && isWindow(1);
    }

    /** Whether it is one that libtorch takes. */
    private boolean isWindow(int d) {
        return kernel[d] > 0 && stride[d] > 0 && padding[d] >= 0 && 2 * padding[d] <= kernel[d];
    }

    /** What libtorch would take longer for; null where that is the faster one, or needed. */
    public @Nullable Tensor of(Tensor x) {
        if (!isPlain || !Tensors.requireLive(x).is_quantized() || !isSlow(x)) {
            return null;
        }
        PointerScope outer = PointerScope.getInnerScope();
        try (var scope = new PointerScope()) {
            Tensor maxima = maxima(Tensors.integers(x).permute(0, 2, 3, 1));
            return Tensors.handOver(
                    Tensors.quantized(maxima.permute(0, 3, 1, 2), x.q_scale(), x.q_zero_point()),
                    outer);
        }
    }

    private boolean isSlow(Tensor x) {
        if (x.dim() != 4) {
            return false;
        }
        long channels = x.size(1);
        long left = channels % AT_ONCE;
        long places = x.size(0) * places(x.size(2), 0) * places(x.size(3), 1);
        return left > VECTORS * (channels / AT_ONCE)
                && places * left * kernel[0] * kernel[1] > COMPARISONS
                && Tensors.type(x) == ScalarType.QUInt8
                && x.is_contiguous(MemoryFormat.ChannelsLast)
                && !x.is_contiguous();
    }

    /** To how many places the window is moved along a dimension; 0 or less for none. */
    private long places(long extent, int d) {
        return Math.floorDiv(extent + 2 * padding[d] - kernel[d], stride[d]) + 1;
    }

    /** Of unsigned bytes [N, H, W, C]. */
    private Tensor maxima(Tensor x) {
        long high = places(x.size(1), 0);
        long wide = places(x.size(2), 1);
        Tensor y =
                torch.empty(
                        new long[] {x.size(0), high, wide, x.size(3)},
                        new TensorOptions(ScalarType.Byte),
                        new MemoryFormatOptional());
        MemorySegment from = Tensors.segment(x);
        MemorySegment to = Tensors.segment(y);
        long picture = x.nbytes() / x.size(0);
        long pooled = y.nbytes() / x.size(0);
        Parallel.split(
                x.size(0),
                Math.max(1, GRAIN / picture),
                (first, end) -> {
                    var maximum =
                            new MaxOfBytes(
                                    kernel,
                                    stride,
                                    padding,
                                    new long[] {x.size(1), x.size(2), x.size(3)},
                                    new long[] {high, wide});
                    for (long n = first; n < end; n++) {
                        maximum.compute(
                                from.asSlice(n * picture, picture), to.asSlice(n * pooled, pooled));
                    }
                    return maximum;
                });
        return y;
    }
}
