package io.espalier.onnx.shape;

import io.espalier.onnx.model.ElementType;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/** Products of matrices. */
final class MatrixRules {
    private MatrixRules() {}

    static void addTo(Rules rules) {
        rules.standard(call -> multiply(call, 1, call.type(0)), "MatMul")
                .standard(call -> multiply(call, 1, ElementType.INT32), "MatMulInteger")
                .standard(call -> multiply(call, 3, call.type(7)), "QLinearMatMul")
                .standard(call -> gemm(call, 1, call.type(0)), "Gemm")
                .standard(Einsum::infer, "Einsum")
                .standard(MatrixRules::determinant, "Det");
        rules.microsoft(MatrixRules::fused, "FusedMatMul TransposeMatMul")
                .microsoft(call -> gemm(call, 1, call.type(0)), "FusedGemm GemmFloat8")
                .microsoft(call -> multiply(call, 1, call.type(2)), "MatMulIntegerToFloat")
                .microsoft(call -> multiply(call, 1, call.type(0)), "DynamicQuantizeMatMul")
                .microsoft(
                        call -> gemm(call, 3, call.has(8) ? call.type(8) : ElementType.FLOAT),
                        "QGemm")
                .microsoft(MatrixRules::blocks, "MatMulNBits MatMulBnb4");
    }

    private static void multiply(Call call, int second, @Nullable ElementType type) {
        call.give(0, type);
        call.give(0, product(call, call.shape(0), call.shape(second)));
    }

    /** The extents of a product of matrices, vectors, or stacks of matrices. */
    private static List<Extent> product(Call call, List<Extent> a, List<Extent> b) {
        if (a.isEmpty() || b.isEmpty()) {
            throw new Undecided();
        }
        boolean rows = a.size() > 1;
        boolean columns = b.size() > 1;
        requireEqual(a.getLast(), columns ? b.get(b.size() - 2) : b.getFirst(), a, b);
        var shape =
                new ArrayList<>(
                        Broadcasting.of(
                                call,
                                a.subList(0, Math.max(a.size() - 2, 0)),
                                b.subList(0, Math.max(b.size() - 2, 0))));
        if (rows) {
            shape.add(a.get(a.size() - 2));
        }
        if (columns) {
            shape.add(b.getLast());
        }
        return shape;
    }

    private static void requireEqual(Extent a, Extent b, List<Extent> first, List<Extent> second) {
        if (a.isKnown() && b.isKnown() && !a.equals(b)) {
            throw new Contradicted(
                    "takes %s and %s, which don't multiply".formatted(first, second));
        }
    }

    private static void gemm(Call call, int second, @Nullable ElementType type) {
        call.give(0, type);
        List<Extent> a = call.shape(0);
        List<Extent> b = call.shape(second);
        if (a.size() != 2 || b.size() != 2) {
            throw new Undecided();
        }
        int rows = call.node.integer("transA", 0) != 0 ? 1 : 0;
        int columns = call.node.integer("transB", 0) != 0 ? 0 : 1;
        requireEqual(a.get(1 - rows), b.get(1 - columns), a, b);
        call.give(0, List.of(a.get(rows), b.get(columns)));
    }

    private static void fused(Call call) {
        call.give(0, call.type(0));
        call.give(0, product(call, turned(call, 0, "transA"), turned(call, 1, "transB")));
    }

    private static List<Extent> turned(Call call, int place, String attribute) {
        if (call.node.integer("transBatchA", 0) != 0 || call.node.integer("transBatchB", 0) != 0) {
            throw new Undecided();
        }
        var shape = new ArrayList<>(call.shape(place));
        if (call.node.integer(attribute, 0) != 0 && shape.size() > 1) {
            Collections.swap(shape, shape.size() - 1, shape.size() - 2);
        }
        return shape;
    }

    /** Weights in blocks of a few bits; the attribute N is how many columns they stand for. */
    private static void blocks(Call call) {
        call.give(0, call.type(0));
        var shape = new ArrayList<>(call.shape(0));
        if (shape.isEmpty()) {
            throw new Undecided();
        }
        Extent rows = Extent.of(call.node.integer("K", -1));
        requireEqual(shape.removeLast(), rows, call.shape(0), List.of(rows));
        shape.add(Extent.of(call.node.integer("N", -1)));
        call.give(0, shape);
    }

    private static void determinant(Call call) {
        call.give(0, call.type(0));
        int rank = call.rank(0);
        if (rank < 2) {
            throw new Undecided();
        }
        call.give(0, call.shape(0).subList(0, rank - 2));
    }
}
