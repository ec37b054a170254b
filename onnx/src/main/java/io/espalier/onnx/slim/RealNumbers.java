package io.espalier.onnx.slim;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.slim.KnownNumbers;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;

import java.util.List;

/** Constants of 16-bit floats, floats and doubles, as doubles and back. */
final class RealNumbers {
    private RealNumbers() {}

    /** The elements of a constant of any of these. */
    static double[] of(ConstantTensor constant) {
        try (var scope = new PointerScope()) {
            return Tensors.doubles(constant.toTensor());
        }
    }

    /** Numbers of the type that another constant has. */
    static ConstantTensor like(ConstantTensor other, List<Long> shape, double... numbers) {
        long[] extents = shape.stream().mapToLong(Long::longValue).toArray();
        try (var scope = new PointerScope()) {
            return ConstantTensor.of(
                    KnownNumbers.tensor(numbers, other.type().libtorch(), extents));
        }
    }
}
