package io.espalier.onnx.quant.conv;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;

import java.util.Arrays;
import java.util.List;

/**
 * A weight in signed bytes with a scale for each channel along one axis, rounded to nearest,
 * symmetric around 0.
 */
final class RoundedWeight {
    /** A channel of zeros has some scale too. */
    private static final float LEAST_SCALE = 1e-12f;

    private final byte[] codes;
    private final float[] scales;
    private final List<Long> shape;
    private final int inner;

    private RoundedWeight(byte[] codes, float[] scales, List<Long> shape, int inner) {
        this.codes = codes;
        this.scales = scales;
        this.shape = shape;
        this.inner = inner;
    }

    /** A weight rounded along an axis. */
    static RoundedWeight along(int axis, ConstantTensor weight, int limit) {
        int channels = Math.toIntExact(weight.shape().get(axis));
        return along(axis, weight, limit, new float[channels]);
    }

    /**
     * A weight rounded along an axis.
     *
     * @param limit the largest code: 127, or 63 where products of 8 bits saturate
     * @param floors the least scale that each channel may have
     */
    static RoundedWeight along(int axis, ConstantTensor weight, int limit, float[] floors) {
        float[] values = weight.toFloats();
        int inner = 1;
        for (int d = axis + 1; d < weight.shape().size(); d++) {
            inner *= Math.toIntExact(weight.shape().get(d));
        }
        var rounded =
                new RoundedWeight(new byte[values.length], floors.clone(), weight.shape(), inner);
        rounded.fit(values, limit);
        return rounded;
    }

    private void fit(float[] values, int limit) {
        for (int i = 0; i < values.length; i++) {
            int c = channel(i);
            scales[c] = Math.max(scales[c], Math.abs(values[i]) / limit);
        }
        for (int c = 0; c < scales.length; c++) {
            scales[c] = Math.max(scales[c], LEAST_SCALE);
        }
        for (int i = 0; i < values.length; i++) {
            codes[i] = (byte) Math.clamp(Math.rint(values[i] / scales[channel(i)]), -limit, limit);
        }
    }

    private int channel(int i) {
        return i / inner % scales.length;
    }

    /** The weight rounded with one scale for all channels: the largest that one of them needs. */
    RoundedWeight perTensor(ConstantTensor weight, int limit) {
        float largest = 0;
        for (float scale : scales) {
            largest = Math.max(largest, scale);
        }
        var floors = new float[scales.length];
        Arrays.fill(floors, largest);
        var rounded = new RoundedWeight(new byte[codes.length], floors, shape, inner);
        rounded.fit(weight.toFloats(), limit);
        return rounded;
    }

    /** The scales as a tensor of this shape, or without dimensions where all channels share one. */
    ConstantTensor scalesTensor(List<Long> perChannel) {
        for (float scale : scales) {
            if (scale != scales[0]) {
                return ConstantTensor.floats(perChannel, scales);
            }
        }
        return ConstantTensor.scalar(scales[0]);
    }

    /** The weight that the codes stand for. */
    float[] values() {
        var values = new float[codes.length];
        for (int i = 0; i < codes.length; i++) {
            values[i] = codes[i] * scales[channel(i)];
        }
        return values;
    }

    /** One scale for each channel. */
    float[] scales() {
        return scales;
    }

    List<Long> shape() {
        return shape;
    }

    /** The codes, of the weight's shape. */
    ConstantTensor codesTensor() {
        return ConstantTensor.bytes(ElementType.INT8, shape, codes);
    }
}
