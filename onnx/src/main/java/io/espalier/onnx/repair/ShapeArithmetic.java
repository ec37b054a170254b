package io.espalier.onnx.repair;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.shape.Extent;

import org.jspecify.annotations.Nullable;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.List;

/**
 * Small integers computed from shapes, replaced by what they are in each run; and shapes for
 * Reshape, which copies extents and finds one by itself.
 */
final class ShapeArithmetic {
    private static final ValueLayout.OfInt INT =
            ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private ShapeArithmetic() {}

    static int compute(Subject subject) {
        OnnxGraph graph = subject.graph();
        int changes = 0;
        // What is known of all values is found before any of them is replaced.
        subject.shapes();
        for (OnnxNode node : graph.nodes()) {
            if (subject.isThere(node)) {
                changes += takeOut(subject, node) || reshape(subject, node) ? 1 : 0;
            }
        }
        return changes;
    }

    /** Makes a constant of a value that is the same in each run. */
    private static boolean takeOut(Subject subject, OnnxNode node) {
        OnnxGraph graph = subject.graph();
        String value = node.output();
        if (node.outputs().size() != 1 || graph.isOutput(value) || node.is("Constant")) {
            return false;
        }
        List<Extent> integers = subject.shapes().integers(value);
        List<Long> shape = subject.shapes().extents(value);
        ElementType type = subject.type(value);
        if (integers == null
                || shape == null
                || type == null
                || !integers.stream().allMatch(Extent::isKnown)) {
            return false;
        }
        long[] values = integers.stream().mapToLong(Extent::value).toArray();
        ConstantTensor constant = constant(type, shape, values);
        if (constant == null || constant.byteSize() > node.toProto().getSerializedSize()) {
            return false;
        }
        graph.remove(node);
        graph.addConstant(value, constant);
        return true;
    }

    private static @Nullable ConstantTensor constant(
            ElementType type, List<Long> shape, long[] values) {
        return switch (type) {
            case INT64 -> ConstantTensor.longs(shape, values);
            case INT32 -> {
                var bytes = MemorySegment.ofArray(new byte[values.length * 4]);
                for (int i = 0; i < values.length; i++) {
                    bytes.setAtIndex(INT, i, Math.toIntExact(values[i]));
                }
                yield ConstantTensor.of(type, shape, bytes);
            }
            default -> null;
        };
    }

    private static boolean reshape(Subject subject, OnnxNode node) {
        OnnxGraph graph = subject.graph();
        if (!node.is("Reshape")
                || node.inputs().size() != 2
                || node.integer("allowzero", 0) != 0
                || graph.constant(node.input(1)) != null) {
            return false;
        }
        List<Extent> wanted = subject.shapes().integers(node.input(1));
        List<Extent> shape = subject.shapes().shape(node.input(0));
        if (wanted == null || shape == null) {
            return false;
        }
        var target = new long[wanted.size()];
        int found = 0;
        for (int i = 0; i < target.length; i++) {
            Extent extent = wanted.get(i);
            if (extent.isKnown()) {
                target[i] = extent.value();
            } else {
                target[i] = i < shape.size() && extent.equals(shape.get(i)) ? 0 : -1;
            }
            found += target[i] == -1 ? 1 : 0;
        }
        if (found > 1) {
            return false;
        }
        String constant =
                graph.addConstant(
                        node.output() + "_shape",
                        ConstantTensor.longs(List.of((long) target.length), target));
        graph.replace(node, node.withInput(1, constant));
        return true;
    }
}
