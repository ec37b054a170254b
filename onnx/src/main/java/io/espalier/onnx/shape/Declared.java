package io.espalier.onnx.shape;

import io.espalier.onnx.proto.TensorShapeProto;
import io.espalier.onnx.proto.TypeProto;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.IntFunction;

/** Extents as a file declares them. */
final class Declared {
    private Declared() {}

    static boolean hasShape(TypeProto type) {
        return type.hasTensorType() && type.getTensorType().hasShape();
    }

    /**
     * The extents of a type that has some.
     *
     * @param sizes of free dimensions, as far as given
     * @param unnamed what stands for a free dimension without a name
     */
    static List<Extent> shape(
            TypeProto type, Map<String, Long> sizes, IntFunction<Extent> unnamed) {
        var shape = new ArrayList<Extent>();
        for (TensorShapeProto.Dimension dim : type.getTensorType().getShape().getDimList()) {
            if (dim.hasDimValue() && dim.getDimValue() >= 0) {
                shape.add(Extent.of(dim.getDimValue()));
            } else if (isNamed(dim)) {
                shape.add(Extent.named(dim.getDimParam()).with(sizes));
            } else {
                shape.add(unnamed.apply(shape.size()).with(sizes));
            }
        }
        return shape;
    }

    /** Whether the file names a free dimension; some write a question mark for no name. */
    static boolean isNamed(TensorShapeProto.Dimension dim) {
        return !dim.getDimParam().isBlank() && !dim.getDimParam().startsWith("?");
    }
}
