package io.espalier.quant.layer;

import io.espalier.quant.observer.QuantizationParameters;
import io.espalier.tensor.Engine;
import io.espalier.tensor.QuantizedTensors;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.MemoryFormat;

import java.util.Arrays;
import java.util.List;

/**
 * A convolution of few outputs as one of twice the outputs at half of the columns: two neighbours
 * share a window that is wider by the stride, in which each has zeros at the other's end. oneDNN
 * computes {@value #AT_ONCE} outputs at once, those that are not there too, so that two columns
 * cost it little more than one. The sums are the same, and each is where it would be in memory.
 */
final class ColumnPairs {
    /** The outputs that oneDNN's kernels compute at once. */
    private static final long AT_ONCE = 16;

    /** From so many places on, all in all, more time is saved than a view takes. */
    private static final long PLACES = 4096;

    private ColumnPairs() {}

    /** Whether a convolution is faster in pairs: fewer vectors, each over a wider window. */
    static boolean pay(Geometry geometry, IntegerWeight weight, Engine engine) {
        Tensor integers = weight.integers();
        return (engine == Engine.X86 || engine == Engine.ONEDNN)
                && geometry.rank() == 2
                && !geometry.transposed()
                && geometry.groups() == 1
                && Arrays.stream(geometry.dilation()).allMatch(gap -> gap == 1)
                && vectors(2 * integers.size(0)) * (integers.size(3) + geometry.stride()[1])
                        < 2 * vectors(integers.size(0)) * integers.size(3)
                && Arrays.stream(weight.parameters().zeroPoints()).allMatch(zero -> zero == 0);
    }

    private static long vectors(long outputs) {
        return Math.ceilDiv(outputs, AT_ONCE);
    }

    /** Whether a result of this shape is made of pairs, and large enough. */
    static boolean fit(long[] result) {
        return result[3] % 2 == 0 && result[0] * result[2] * result[3] >= PLACES;
    }

    /** The weight of both columns, [2 · outputs, …, width + stride]. */
    static IntegerWeight weight(IntegerWeight single, Geometry geometry) {
        long further = geometry.stride()[1];
        Tensor first = padded(single.integers(), 0, further);
        Tensor second = padded(single.integers(), further, 0);
        return new IntegerWeight(
                QuantizedTensors.cat(List.of(first, second), 0), twice(single.parameters()));
    }

    private static Tensor padded(Tensor integers, long left, long right) {
        return torch.constant_pad_nd(integers, new long[] {left, right}, new Scalar(0));
    }

    private static QuantizationParameters twice(QuantizationParameters one) {
        if (!one.isPerChannel()) {
            return one;
        }
        int count = one.scales().length;
        float[] scales = Arrays.copyOf(one.scales(), 2 * count);
        System.arraycopy(scales, 0, scales, count, count);
        return new QuantizationParameters(
                scales,
                new int[2 * count],
                one.channelAxis(),
                one.dtype(),
                one.qscheme(),
                one.quantMin(),
                one.quantMax());
    }

    /** From one pair to the next. */
    static long[] stride(Geometry geometry) {
        long[] stride = geometry.stride().clone();
        stride[1] *= 2;
        return stride;
    }

    /** The pairs [N, 2 · outputs, H, W / 2] as the result of this shape, without a copy. */
    static Tensor apart(Tensor pairs, long[] result) {
        long outputs = result[1];
        long row = result[3] * outputs;
        return pairs.contiguous(MemoryFormat.ChannelsLast)
                .as_strided(result, new long[] {result[2] * row, 1, row, outputs});
    }
}
