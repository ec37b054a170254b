package io.espalier.onnx.export;

import io.espalier.nn.Module;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.List;

/**
 * A weight as signed 8-bit integers: {@code (q − zeroPoint) · scale}, with one scale for all or one
 * for each place along the first dimension.
 *
 * @param name the weight's name in the model's state
 * @param integers the weight
 * @param scales one, or one for each output
 * @param zeroPoints as many
 */
@SuppressWarnings("ArrayRecordComponent") // never leaves the room
record IntegerWeights(String name, ConstantTensor integers, float[] scales, long[] zeroPoints) {
    /** Sums of products are counted in 32 bits; a bias must fit beside them. */
    private static final double LARGEST_BIAS = 1L << 30;

    /** What a quantized layer keeps in its buffers. */
    static IntegerWeights of(String prefix, Module layer, String name) {
        return new IntegerWeights(
                prefix + name,
                Weights.constant(layer.buffer(name)),
                Tensors.floats(layer.buffer(name + "_scale")),
                Tensors.longs(layer.buffer(name + "_zero_point")));
    }

    /** Of floats that are such products already. */
    static IntegerWeights of(String name, Tensor floats, float[] scales, int... zeroPoints) {
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            float[] values = Tensors.floats(floats.detach().contiguous());
            byte[] integers = new byte[values.length];
            int each = values.length / Math.max(1, scales.length);
            for (int i = 0; i < values.length; i++) {
                int place = scales.length == 1 ? 0 : i / each;
                integers[i] = (byte) (Math.round(values[i] / scales[place]) + zeroPoints[place]);
            }
            List<Long> shape = Arrays.stream(Tensors.shape(floats)).boxed().toList();
            return new IntegerWeights(
                    name,
                    ConstantTensor.bytes(ElementType.INT8, shape, integers),
                    scales,
                    Arrays.stream(zeroPoints).asLongStream().toArray());
        }
    }

    boolean isPerChannel() {
        return integers.shape().getFirst() == scales.length && scales.length > 1;
    }

    /** The integers turned, [in, out] for [out, in]. */
    ConstantTensor turned() {
        int rows = Math.toIntExact(integers.shape().getFirst());
        int columns = Math.toIntExact(integers.shape().get(1));
        byte[] given = integers.bytes().toArray(ValueLayout.JAVA_BYTE);
        byte[] turned = new byte[given.length];
        for (int row = 0; row < rows; row++) {
            for (int column = 0; column < columns; column++) {
                turned[column * rows + row] = given[row * columns + column];
            }
        }
        return ConstantTensor.bytes(ElementType.INT8, List.of((long) columns, (long) rows), turned);
    }

    /** Writes the floats that the integers stand for. */
    String dequantized(Draft draft) {
        return dequantized(draft, integers, 0);
    }

    /** Writes the floats that integers of another layout stand for. */
    String dequantized(Draft draft, ConstantTensor layout, int axis) {
        return draft.node(
                "DequantizeLinear",
                node -> isPerChannel() ? node.with("axis", axis) : node,
                draft.state(name, layout),
                draft.state(name + "_scale", scaleConstant()),
                draft.state(name + "_zero_point", zeroPointConstant()));
    }

    private List<Long> shape() {
        return isPerChannel() ? List.of((long) scales.length) : List.of();
    }

    ConstantTensor scaleConstant() {
        return ConstantTensor.floats(shape(), scales);
    }

    ConstantTensor zeroPointConstant() {
        byte[] zeros = new byte[zeroPoints.length];
        for (int i = 0; i < zeros.length; i++) {
            zeros[i] = (byte) zeroPoints[i];
        }
        return ConstantTensor.bytes(ElementType.INT8, shape(), zeros);
    }

    /**
     * Writes a bias: in the integers of the sums that it is added to, which lets a runtime compute
     * all in integers; in floats where it is too large for them or the input's scale is not known.
     */
    String bias(Draft draft, String biasName, float[] bias, @Nullable Range input) {
        List<Long> shape = List.of((long) bias.length);
        double[] steps = new double[bias.length];
        boolean fits = input != null;
        for (int i = 0; i < bias.length && input != null; i++) {
            steps[i] = (double) input.scale() * scales[scales.length == 1 ? 0 : i];
            fits &= Math.abs(bias[i] / steps[i]) < LARGEST_BIAS;
        }
        if (!fits) {
            return draft.state(biasName, ConstantTensor.floats(shape, bias));
        }
        var integersOf = new byte[4 * bias.length];
        var segment = MemorySegment.ofArray(integersOf);
        float[] scaleOf = new float[isPerChannel() ? bias.length : 1];
        for (int i = 0; i < bias.length; i++) {
            segment.set(
                    ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN),
                    4L * i,
                    (int) Math.rint(bias[i] / steps[i]));
            scaleOf[isPerChannel() ? i : 0] = (float) steps[i];
        }
        List<Long> scaleShape = isPerChannel() ? shape : List.of();
        return draft.node(
                "DequantizeLinear",
                node -> isPerChannel() ? node.with("axis", 0) : node,
                draft.state(biasName, ConstantTensor.of(ElementType.INT32, shape, segment)),
                draft.state(biasName + "_scale", ConstantTensor.floats(scaleShape, scaleOf)));
    }
}
