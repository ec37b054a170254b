package io.espalier.graph;

import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;

/**
 * What is known of a tensor in a graph.
 *
 * @param type its elements
 * @param shape its lengths, outermost first
 */
public record TensorType(ScalarType type, List<Size> shape) {
    /** Copies the list. */
    public TensorType {
        type = type.intern();
        shape = List.copyOf(shape);
    }

    /** The type of a tensor as it is. */
    public static TensorType of(Tensor tensor) {
        return new TensorType(
                Tensors.type(tensor),
                Arrays.stream(Tensors.shape(tensor))
                        .mapToObj(length -> (Size) new Size.Fixed(length))
                        .toList());
    }

    /** As it is printed: {@code Float[batch, 3, 8, 8]}. */
    @Override
    public String toString() {
        return type.name()
                + shape.stream().map(Size::toString).collect(Collectors.joining(", ", "[", "]"));
    }
}
