package io.espalier.onnx.shape;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.tensor.EspalierException;

import org.jspecify.annotations.Nullable;

import java.util.List;

/** The values of nodes that are constants. */
final class Constants {
    private Constants() {}

    /** What a node Constant gives; null also if that is damaged. */
    static @Nullable ConstantTensor ofOrNull(OnnxNode node) {
        try {
            return of(node);
        } catch (EspalierException _) {
            return null;
        }
    }

    /** What a node Constant gives; null for strings and sparse tensors. */
    static @Nullable ConstantTensor of(OnnxNode node) {
        if (node.has("value")) {
            return node.tensor("value");
        }
        if (node.has("value_int")) {
            return ConstantTensor.longs(List.of(), node.integer("value_int", 0));
        }
        if (node.has("value_float")) {
            return ConstantTensor.scalar(node.number("value_float", 0));
        }
        if (node.has("value_ints")) {
            long[] values =
                    node.integers("value_ints").stream().mapToLong(Long::longValue).toArray();
            return ConstantTensor.longs(List.of((long) values.length), values);
        }
        if (node.has("value_floats")) {
            List<Float> numbers = node.numbers("value_floats");
            var values = new float[numbers.size()];
            for (int i = 0; i < values.length; i++) {
                values[i] = numbers.get(i);
            }
            return ConstantTensor.floats(List.of((long) values.length), values);
        }
        return null;
    }
}
