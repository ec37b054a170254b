package io.espalier.quant.observer;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.util.Arrays;

/**
 * How real numbers map to integers: {@code q = clamp(round(x / scale) + zeroPoint, quantMin,
 * quantMax)}, with one scale and zero point, or one per channel.
 *
 * @param scales one positive scale, or one per channel
 * @param zeroPoints as many integers
 * @param channelAxis the dimension that the channels lie along, or −1 if there is one scale for all
 * @param dtype what the integers are stored as
 * @param qscheme how the scales were chosen
 * @param quantMin the smallest integer in use
 * @param quantMax the largest integer in use
 */
@SuppressWarnings("ArrayRecordComponent") // copied on the way in and out
public record QuantizationParameters(
        float[] scales,
        int[] zeroPoints,
        int channelAxis,
        QuantizedType dtype,
        Qscheme qscheme,
        int quantMin,
        int quantMax) {
    /**
     * Checks and copies.
     *
     * @throws EspalierException if there is no scale, a scale is not positive and finite, or counts
     *     differ
     */
    public QuantizationParameters {
        Needed.of(scales, "the scales");
        Needed.of(zeroPoints, "the zero points");
        Needed.of(dtype, "the type of the integers");
        Needed.of(qscheme, "the scheme");
        if (scales.length == 0 || scales.length != zeroPoints.length) {
            throw new EspalierException(
                    "Quantization parameters need one zero point for each scale; got "
                            + scales.length
                            + " scales and "
                            + zeroPoints.length
                            + " zero points.");
        }
        if ((channelAxis < 0) == qscheme.isPerChannel()) {
            throw new EspalierException(
                    "Quantization parameters of "
                            + qscheme
                            + " can't have channel axis "
                            + channelAxis
                            + "; use −1 for one scale, a dimension for one per channel.");
        }
        for (float scale : scales) {
            if (!(scale > 0) || Float.isInfinite(scale)) {
                throw new EspalierException(
                        "A scale must be positive and finite; got " + scale + ".");
            }
        }
        scales = scales.clone();
        zeroPoints = zeroPoints.clone();
    }

    /** Parameters with one scale for the whole tensor. */
    public static QuantizationParameters perTensor(
            float scale, int zeroPoint, QuantizedType dtype, int quantMin, int quantMax) {
        return new QuantizationParameters(
                new float[] {scale},
                new int[] {zeroPoint},
                -1,
                dtype,
                Qscheme.PER_TENSOR_AFFINE,
                quantMin,
                quantMax);
    }

    /** Whether each channel has its own scale. */
    public boolean isPerChannel() {
        return channelAxis >= 0;
    }

    /** A copy of the scales. */
    @Override
    public float[] scales() {
        return scales.clone();
    }

    /** A copy of the zero points. */
    @Override
    public int[] zeroPoints() {
        return zeroPoints.clone();
    }

    /**
     * The one scale.
     *
     * @throws EspalierException if there is one per channel
     */
    public float scale() {
        requirePerTensor();
        return scales[0];
    }

    /**
     * The one zero point.
     *
     * @throws EspalierException if there is one per channel
     */
    public int zeroPoint() {
        requirePerTensor();
        return zeroPoints[0];
    }

    private void requirePerTensor() {
        if (isPerChannel()) {
            throw new EspalierException(
                    "These quantization parameters have a scale for each of "
                            + scales.length
                            + " channels; ask for scales() and zeroPoints().");
        }
    }

    /**
     * What is left of {@code x} after quantizing it and back, as floats of the same shape;
     * gradients pass where nothing was clamped.
     */
    public Tensor simulate(Tensor x) {
        Tensors.requireLive(x);
        return isPerChannel()
                ? torch.fake_quantize_per_channel_affine(
                        x, scaleTensor(), zeroPointTensor(), channelAxis, quantMin, quantMax)
                : torch.fake_quantize_per_tensor_affine(
                        x, scales[0], zeroPoints[0], quantMin, quantMax);
    }

    /**
     * Plain integers: {@code clamp(round(x / scale) + zeroPoint)}.
     *
     * @param x float, of any shape
     * @return a tensor of the same shape of unsigned or signed 8-bit or 32-bit integers, as the
     *     dtype says
     * @throws EspalierException if the channels don't fit, or the dtype has no integers
     */
    public Tensor quantize(Tensor x) {
        return Integers.quantize(Tensors.requireLive(x), this).int_repr();
    }

    /**
     * The floats that plain integers stand for: {@code (q − zeroPoint) · scale}.
     *
     * @throws EspalierException if the channels don't fit
     */
    public Tensor dequantize(Tensor integers) {
        return Integers.wrap(Tensors.requireLive(integers), this).dequantize();
    }

    /** The scales as a float tensor [channels] or [1]. */
    public Tensor scaleTensor() {
        return Tensors.of(scales);
    }

    /** The zero points as a tensor of 32-bit integers [channels] or [1]. */
    public Tensor zeroPointTensor() {
        long[] wide = Arrays.stream(zeroPoints).asLongStream().toArray();
        return Tensors.of(wide, wide.length).to(ScalarType.Int);
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof QuantizationParameters that
                && Arrays.equals(scales, that.scales)
                && Arrays.equals(zeroPoints, that.zeroPoints)
                && channelAxis == that.channelAxis
                && dtype == that.dtype
                && qscheme == that.qscheme
                && quantMin == that.quantMin
                && quantMax == that.quantMax;
    }

    @Override
    public int hashCode() {
        return 31 * Arrays.hashCode(scales) + Arrays.hashCode(zeroPoints);
    }

    @Override
    public String toString() {
        return "QuantizationParameters[scales="
                + Arrays.toString(scales)
                + ", zeroPoints="
                + Arrays.toString(zeroPoints)
                + (isPerChannel() ? ", channelAxis=" + channelAxis : "")
                + ", "
                + dtype
                + " "
                + quantMin
                + "…"
                + quantMax
                + "]";
    }
}
