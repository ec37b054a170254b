package io.espalier.onnx.tune;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.shape.Shapes;

import org.bytedeco.pytorch.Tensor;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.LongStream;

/**
 * A tensor of real numbers that a file holds, as an initializer or as the value of a Constant node,
 * and the forms that it takes until a layer reads it: transposed, reshaped, of another type. Each
 * form leads back, so that what is done to what the layer reads can be done to what the file holds.
 *
 * @param name the initializer, or what the Constant node gives
 * @param tensor what the file holds
 * @param forms what it passes through, first to last
 */
record HeldWeight(String name, ConstantTensor tensor, List<Form> forms) {
    HeldWeight {
        forms = List.copyOf(forms);
    }

    /** What a node between a weight and its reader does to it, and how that is undone. */
    sealed interface Form {
        Tensor of(Tensor before);

        Tensor back(Tensor after);
    }

    /** Dimensions in another order. */
    record Permuted(List<Long> order) implements Form {
        Permuted {
            order = List.copyOf(order);
        }

        @Override
        public Tensor of(Tensor before) {
            return before.permute(array(order));
        }

        @Override
        public Tensor back(Tensor after) {
            long[] inverse = new long[order.size()];
            for (int i = 0; i < inverse.length; i++) {
                inverse[order.get(i).intValue()] = i;
            }
            return after.permute(inverse);
        }
    }

    /** The same elements under another shape. */
    record Reshaped(List<Long> before, List<Long> after) implements Form {
        Reshaped {
            before = List.copyOf(before);
            after = List.copyOf(after);
        }

        @Override
        public Tensor of(Tensor tensor) {
            return tensor.reshape(array(after));
        }

        @Override
        public Tensor back(Tensor tensor) {
            return tensor.reshape(array(before));
        }
    }

    private static long[] array(List<Long> numbers) {
        return numbers.stream().mapToLong(Long::longValue).toArray();
    }

    /** The weight that a value is, if it is one in any of these forms. */
    static Optional<HeldWeight> of(OnnxGraph graph, Shapes shapes, String value) {
        List<Form> forms = new ArrayList<>();
        Set<String> seen = new HashSet<>();
        String at = value;
        while (seen.add(at)) {
            Optional<ConstantTensor> held = held(graph, at);
            if (held.isPresent()) {
                boolean real = held.get().type().isFloating();
                return real ? Optional.of(new HeldWeight(at, held.get(), forms)) : Optional.empty();
            }
            OnnxNode node = graph.producer(at);
            if (node == null || !node.domain().isEmpty() || node.inputs().isEmpty()) {
                return Optional.empty();
            }
            Optional<List<Form>> form = form(node, shapes);
            if (form.isEmpty()) {
                return Optional.empty();
            }
            forms.addAll(0, form.get());
            at = node.input(0);
        }
        return Optional.empty();
    }

    private static Optional<ConstantTensor> held(OnnxGraph graph, String value) {
        ConstantTensor constant = graph.constant(value);
        if (constant != null) {
            return Optional.of(constant);
        }
        OnnxNode node = graph.producer(value);
        return node != null && node.is("Constant") && node.has("value")
                ? Optional.ofNullable(node.tensor("value"))
                : Optional.empty();
    }

    private static Optional<List<Form>> form(OnnxNode node, Shapes shapes) {
        List<Long> before = shapes.extents(node.input(0));
        List<Long> after = shapes.extents(node.output());
        if (before == null || after == null) {
            return Optional.empty();
        }
        return switch (node.op()) {
            case "Identity" -> Optional.of(List.of());
            case "Cast" -> {
                ElementType type = shapes.elements(node.output());
                yield type != null && type.isFloating() ? Optional.of(List.of()) : Optional.empty();
            }
            case "Reshape", "Squeeze", "Unsqueeze", "Flatten" ->
                    Optional.of(List.of(new Reshaped(before, after)));
            case "Transpose" -> {
                List<Long> order = node.integers("perm");
                yield Optional.of(
                        List.of(new Permuted(order.isEmpty() ? reversed(before.size()) : order)));
            }
            default -> Optional.empty();
        };
    }

    private static List<Long> reversed(int rank) {
        return LongStream.range(0, rank).map(i -> rank - 1 - i).boxed().toList();
    }

    /** What the layer reads, given what the file holds. */
    Tensor read(Tensor held) {
        Tensor tensor = held;
        for (Form form : forms) {
            tensor = form.of(tensor);
        }
        return tensor;
    }

    /** What the file has to hold for the layer to read this. */
    Tensor held(Tensor read) {
        Tensor tensor = read;
        for (Form form : forms.reversed()) {
            tensor = form.back(tensor);
        }
        return tensor;
    }

    /** What the file has to hold for the layer to read these floats. */
    ConstantTensor withRead(Tensor read) {
        Tensor now = held(read).to(tensor.type().libtorch()).contiguous();
        return tensor.withBytes(ConstantTensor.of(now).bytes());
    }

    /** Puts another tensor of its type and shape in its place. */
    static void replace(OnnxGraph graph, String name, ConstantTensor by) {
        OnnxNode node = graph.producer(name);
        if (node == null) {
            graph.setConstant(name, by);
        } else {
            graph.replace(node, node.with("value", by));
        }
    }
}
