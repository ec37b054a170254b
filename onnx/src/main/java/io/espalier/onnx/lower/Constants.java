package io.espalier.onnx.lower;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;

import java.lang.foreign.ValueLayout;

/** Tensors that hold numbers known when a model is lowered. */
final class Constants {
    private static final ValueLayout.OfDouble DOUBLE = ValueLayout.JAVA_DOUBLE_UNALIGNED;

    private Constants() {}

    /** Integers as elements of a type. */
    static Tensor integers(ElementType type, long[] numbers, long... shape) {
        Tensor longs = Tensors.of(numbers, shape);
        return type == ElementType.INT64 ? longs : longs.to(type.libtorch());
    }

    /** The elements, without rounding those of double precision. */
    static double[] doubles(ConstantTensor constant) {
        if (constant.type() == ElementType.DOUBLE) {
            return constant.bytes().toArray(DOUBLE);
        }
        double[] numbers = new double[Math.toIntExact(constant.elements())];
        if (constant.type().isFloating()) {
            float[] floats = constant.toFloats();
            for (int i = 0; i < numbers.length; i++) {
                numbers[i] = floats[i];
            }
        } else {
            long[] longs = constant.toLongs();
            for (int i = 0; i < numbers.length; i++) {
                numbers[i] = longs[i];
            }
        }
        return numbers;
    }

    /** A tensor with two dimensions swapped, laid out anew. */
    static Tensor transposed(Tensor matrix) {
        return matrix.t().contiguous();
    }

    /** Elements that are the same along a vector, once for each of its places. */
    static Tensor vector(ConstantTensor constant, long length) {
        Tensor tensor = constant.toTensor();
        return constant.elements() == length
                ? tensor.reshape(length)
                : tensor.reshape(1).expand(length).contiguous();
    }
}
