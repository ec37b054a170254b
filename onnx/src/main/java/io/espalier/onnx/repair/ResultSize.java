package io.espalier.onnx.repair;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxNode;

import java.util.ArrayList;
import java.util.List;

/**
 * How many bytes a node of constants makes at most, before it is run. Only operators are known
 * whose result depends on nothing but their inputs.
 */
final class ResultSize {
    private static final long WIDEST = 8;

    private ResultSize() {}

    /** At most so many bytes; negative if the operator isn't known, or the number is too large. */
    static long bytes(OnnxGraph graph, OnnxNode node) {
        if (!node.domain().isEmpty()) {
            return -1;
        }
        try {
            long elements = elements(graph, node);
            return elements < 0 ? -1 : Math.multiplyExact(elements, elementBytes(graph, node));
        } catch (ArithmeticException e) {
            return -1;
        }
    }

    private static long elementBytes(OnnxGraph graph, OnnxNode node) {
        return switch (node.op()) {
            case "Cast", "QuantizeLinear" -> {
                int to = (int) node.integer("to", ElementType.UINT8.code());
                yield to < 1 || to > ElementType.values().length
                        ? WIDEST
                        : Math.max(1, ElementType.of(to).bits() / 8);
            }
            case "Equal", "Greater", "Less", "GreaterOrEqual", "LessOrEqual", "Not", "And", "Or" ->
                    1;
            case "Shape", "Size", "ConstantOfShape", "ArgMax", "ArgMin" -> WIDEST;
            default -> {
                ConstantTensor first = constant(graph, node, node.is("Where") ? 1 : 0);
                yield Math.max(1, first.type().bits() / 8);
            }
        };
    }

    private static long elements(OnnxGraph graph, OnnxNode node) {
        return switch (node.op()) {
            case "Identity",
                    "Cast",
                    "Reshape",
                    "Transpose",
                    "Squeeze",
                    "Unsqueeze",
                    "Flatten",
                    "Slice",
                    "Neg",
                    "Abs",
                    "Sqrt",
                    "Reciprocal",
                    "Exp",
                    "Log",
                    "Floor",
                    "Ceil",
                    "Round",
                    "Sign",
                    "Not",
                    "Relu",
                    "Sigmoid",
                    "Tanh",
                    "Clip",
                    "Softmax",
                    "Erf",
                    "ReduceSum",
                    "ReduceMean",
                    "ReduceMax",
                    "ReduceMin",
                    "ReduceProd",
                    "ReduceL2",
                    "ReduceSumSquare",
                    "CumSum",
                    "Trilu",
                    "QuantizeLinear",
                    "ArgMax",
                    "ArgMin",
                    "ScatterElements",
                    "ScatterND",
                    "DepthToSpace",
                    "SpaceToDepth" ->
                    constant(graph, node, 0).elements();
            case "Add",
                    "Sub",
                    "Mul",
                    "Div",
                    "Pow",
                    "Mod",
                    "Equal",
                    "Greater",
                    "Less",
                    "GreaterOrEqual",
                    "LessOrEqual",
                    "And",
                    "Or",
                    "Min",
                    "Max",
                    "Where",
                    "Sum" ->
                    broadcast(graph, node);
            case "Shape" -> constant(graph, node, 0).shape().size();
            case "Size" -> 1;
            case "Concat" -> {
                long sum = 0;
                for (int i = 0; i < node.inputs().size(); i++) {
                    sum += constant(graph, node, i).elements();
                }
                yield sum;
            }
            case "Gather" -> gathered(node, constant(graph, node, 0), constant(graph, node, 1));
            case "GatherElements" -> constant(graph, node, 1).elements();
            case "ConstantOfShape" -> product(constant(graph, node, 0));
            case "Expand" ->
                    broadcast(
                            List.of(
                                    constant(graph, node, 0).shape(),
                                    extents(constant(graph, node, 1))));
            case "Tile" ->
                    Math.multiplyExact(
                            constant(graph, node, 0).elements(), product(constant(graph, node, 1)));
            case "Range" -> range(graph, node);
            default -> -1;
        };
    }

    private static ConstantTensor constant(OnnxGraph graph, OnnxNode node, int input) {
        ConstantTensor constant = graph.constant(node.input(input));
        if (constant == null) {
            throw new ArithmeticException("The input is left out.");
        }
        return constant;
    }

    private static long broadcast(OnnxGraph graph, OnnxNode node) {
        var shapes = new ArrayList<List<Long>>();
        for (int i = 0; i < node.inputs().size(); i++) {
            shapes.add(constant(graph, node, i).shape());
        }
        return broadcast(shapes);
    }

    private static long broadcast(List<List<Long>> shapes) {
        int rank = shapes.stream().mapToInt(List::size).max().orElse(0);
        long product = 1;
        for (int i = 1; i <= rank; i++) {
            long longest = 1;
            for (List<Long> shape : shapes) {
                long extent = i <= shape.size() ? shape.get(shape.size() - i) : 1;
                longest = extent == 0 || longest == 0 ? 0 : Math.max(longest, extent);
            }
            product = Math.multiplyExact(product, longest);
        }
        return product;
    }

    private static long gathered(OnnxNode node, ConstantTensor data, ConstantTensor indices) {
        List<Long> shape = data.shape();
        long axis = node.integer("axis", 0);
        long place = axis < 0 ? axis + shape.size() : axis;
        if (place < 0 || place >= shape.size() || shape.get((int) place) == 0) {
            return -1;
        }
        return Math.multiplyExact(data.elements() / shape.get((int) place), indices.elements());
    }

    private static List<Long> extents(ConstantTensor constant) {
        var extents = new ArrayList<Long>();
        for (long extent : constant.toLongs()) {
            extents.add(extent);
        }
        return extents;
    }

    private static long product(ConstantTensor constant) {
        long product = 1;
        for (long extent : constant.toLongs()) {
            product = Math.multiplyExact(product, Math.max(0, extent));
        }
        return product;
    }

    private static long range(OnnxGraph graph, OnnxNode node) {
        float start = constant(graph, node, 0).toFloats()[0];
        float limit = constant(graph, node, 1).toFloats()[0];
        float delta = constant(graph, node, 2).toFloats()[0];
        double count = Math.ceil(((double) limit - start) / delta);
        if (!(count < 1L << 32)) {
            throw new ArithmeticException("A range without end.");
        }
        return (long) Math.max(0, count) + 1;
    }
}
