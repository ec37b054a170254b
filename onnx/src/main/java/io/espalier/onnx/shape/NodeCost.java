package io.espalier.onnx.shape;

import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxNode;

import org.jspecify.annotations.Nullable;

import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;

/** What one node multiplies and moves, by the extents of its operands and results. */
final class NodeCost {
    /** The same elements under other extents: no byte is moved. */
    private static final Set<String> VIEWS =
            Set.of("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Constant", "Shape");

    /** They read only those rows that they give. */
    private static final Set<String> LOOKUPS =
            Set.of("Gather", "GatherElements", "GatherND", "GatherBlockQuantized", "Slice");

    /** The runtime's own of these names make queries, keys and values themselves. */
    private static final Set<String> PROJECTING = Set.of("Attention", "QAttention");

    private final OnnxNode node;
    private final Shapes shapes;
    private final Weights weights;
    private boolean known = true;

    NodeCost(OnnxNode node, Shapes shapes, Weights weights) {
        this.node = node;
        this.shapes = shapes;
        this.weights = weights;
    }

    /** Whether nothing was missing for what was asked until now. */
    boolean isKnown() {
        return known;
    }

    /** The numbers that a weight stands for; two may share a byte. */
    long parameters(String weight) {
        if (node.op().equals("MatMulNBits") && weight.equals(node.input(1))) {
            return saturatedProduct(List.of(node.integer("K", 0), node.integer("N", 0)));
        }
        boolean packed =
                node.op().equals("GatherBlockQuantized")
                        && weight.equals(node.input(0))
                        && shapes.elements(weight) == ElementType.UINT8;
        long each = packed ? 8 / Math.max(1, node.integer("bits", 4)) : 1;
        return weights.elements(weight) * each;
    }

    /** The multiplications, each with an addition. */
    long macs() {
        if (Rules.types(node) == null) {
            return nothing();
        }
        return switch (node.op()) {
            case "Conv", "ConvInteger", "FusedConv", "NhwcFusedConv", "DeformConv" ->
                    product(result(0), filter(1));
            case "QLinearConv" -> product(result(0), filter(3));
            case "ConvTranspose" -> product(elements(node.input(0)), filter(1));
            case "MatMul",
                    "MatMulInteger",
                    "QLinearMatMul",
                    "MatMulIntegerToFloat",
                    "DynamicQuantizeMatMul",
                    "MatMulNBits",
                    "MatMulBnb4" ->
                    product(result(0), last(node.input(0)));
            case "FusedMatMul", "TransposeMatMul", "Gemm", "FusedGemm", "QGemm" ->
                    product(result(0), contracted());
            case "Einsum" -> Einsum.products(node, shapes::extents).orElseGet(this::nothing);
            case "LSTM", "GRU", "RNN", "DynamicQuantizeLSTM" -> recurrent();
            case "Attention", "MultiHeadAttention", "QAttention", "GroupQueryAttention" ->
                    attention();
            default -> 0;
        };
    }

    private long nothing() {
        known = false;
        return 0;
    }

    private @Nullable List<Long> extents(String value) {
        List<Long> extents = shapes.extents(value);
        known &= extents != null;
        return extents;
    }

    private long elements(String value) {
        List<Long> extents = extents(value);
        return extents == null ? 0 : saturatedProduct(extents);
    }

    private long result(int place) {
        return elements(node.output(place));
    }

    /** The elements of a weight for each of its first dimension. */
    private long filter(int place) {
        List<Long> extents = extents(node.input(place));
        return extents == null || extents.isEmpty()
                ? 0
                : saturatedProduct(extents.subList(1, extents.size()));
    }

    private long last(String value) {
        List<Long> extents = extents(value);
        return extents == null || extents.isEmpty() ? 0 : extents.getLast();
    }

    private long contracted() {
        List<Long> extents = extents(node.input(0));
        if (extents == null || extents.size() < 2) {
            return 0;
        }
        return extents.get(extents.size() - (node.integer("transA", 0) != 0 ? 2 : 1));
    }

    /** All weights once in each step for each sample. */
    private long recurrent() {
        List<Long> input = extents(node.input(0));
        if (input == null || input.size() != 3) {
            return 0;
        }
        long each = saturatedSum(elements(node.input(1)), elements(node.input(2)));
        return saturatedProduct(List.of(input.get(0), input.get(1), each));
    }

    /** Queries by keys, then weights by values; and what makes them, if the operator does. */
    private long attention() {
        boolean projects = PROJECTING.contains(node.op()) && !node.domain().isEmpty();
        List<Long> query = extents(node.input(0));
        if (query == null || query.size() < 3) {
            return nothing();
        }
        List<Long> given = projects ? extents(node.input(1)) : null;
        List<Long> key = projects || !isGiven(1) ? query : extents(node.input(1));
        if (key == null || key.size() < 3) {
            return nothing();
        }
        long keys = key.get(key.size() - 2);
        long scores = product(saturatedSum(result(0), result(0)), keys);
        long projected =
                given == null || given.isEmpty()
                        ? 0
                        : product(saturatedProduct(query), given.getLast());
        return saturatedSum(scores, projected);
    }

    private boolean isGiven(int place) {
        return !node.input(place).isEmpty();
    }

    /** What is read and written. */
    long bytes() {
        if (VIEWS.contains(node.op())) {
            return 0;
        }
        long results =
                node.outputs().stream()
                        .filter(value -> !value.isEmpty())
                        .mapToLong(this::bytes)
                        .reduce(0, NodeCost::saturatedSum);
        boolean lookup = LOOKUPS.contains(node.op());
        long operands =
                IntStream.range(lookup ? 1 : 0, node.inputs().size())
                        .mapToObj(node::input)
                        .filter(value -> !value.isEmpty())
                        .mapToLong(this::bytes)
                        .reduce(lookup ? results : 0, NodeCost::saturatedSum);
        return saturatedSum(operands, results);
    }

    private long bytes(String value) {
        ElementType type = shapes.elements(value);
        if (type == null) {
            return nothing();
        }
        try {
            return type.bytes(elements(value));
        } catch (ArithmeticException _) {
            return Long.MAX_VALUE;
        }
    }

    private static long product(long a, long b) {
        return saturatedProduct(List.of(a, b));
    }

    /** The product; what no {@code long} holds is the largest. */
    static long saturatedProduct(List<Long> factors) {
        long product = 1;
        for (long factor : factors) {
            if (Math.multiplyHigh(product, factor) != 0 || product * factor < 0) {
                product = Long.MAX_VALUE;
            } else {
                product *= factor;
            }
        }
        return factors.contains(0L) ? 0 : product;
    }

    static long saturatedSum(long a, long b) {
        return a + b < 0 ? Long.MAX_VALUE : a + b;
    }
}
