package io.espalier.onnx.export;

import static io.espalier.onnx.export.OperatorTable.row;

import io.espalier.graph.GraphOperator;
import io.espalier.onnx.model.ElementType;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Linear maps and products of matrices. */
final class Products {
    private Products() {}

    static void addTo(Map<GraphOperator, OperatorWriter> rows) {
        row(
                rows,
                GraphOperator.LINEAR,
                step ->
                        linear(
                                step.draft(),
                                step.x(),
                                step.seen().rank(),
                                step.name(1),
                                step.name(2)));
        row(rows, GraphOperator.EMBEDDING, step -> step.node("Gather", step.name(0), step.name(1)));
        row(
                rows,
                GraphOperator.EINSUM,
                step ->
                        step.node(
                                "Einsum",
                                node -> node.with("equation", step.call().text("equation")),
                                step.names().toArray(String[]::new)));
        row(rows, GraphOperator.MATMUL, Products::matmul);
        row(rows, GraphOperator.BMM, Products::matmul);
        row(rows, GraphOperator.SCALED_DOT_PRODUCT_ATTENTION, Products::attention);
        row(rows, GraphOperator.CONV1D, Products::convolution);
        row(rows, GraphOperator.CONV2D, Products::convolution);
        row(rows, GraphOperator.CONV3D, Products::convolution);
        row(rows, GraphOperator.CONV_TRANSPOSE1D, Products::transposedConvolution);
        row(rows, GraphOperator.CONV_TRANSPOSE2D, Products::transposedConvolution);
        row(rows, GraphOperator.CONV_TRANSPOSE3D, Products::transposedConvolution);
    }

    private static String matmul(Step step) {
        return step.node("MatMul", step.promoted(0), step.promoted(1));
    }

    /**
     * {@code x Wᵀ + b} of x [*, in] with so many dimensions.
     *
     * @param weight [out, in]
     * @param bias [out], or empty
     */
    static String linear(Draft draft, String x, int rank, String weight, String bias) {
        if (rank == 2) {
            return draft.node("Gemm", node -> node.with("transB", 1), x, weight, bias);
        }
        String turned = draft.node("Transpose", node -> node.with("perm", List.of(1L, 0L)), weight);
        return plus(draft, draft.node("MatMul", x, turned), bias);
    }

    /** A sum; the value itself where nothing is to be added. */
    static String plus(Draft draft, String value, String bias) {
        return bias.isEmpty() ? value : draft.node("Add", value, bias);
    }

    private static String convolution(Step step) {
        var geometry =
                new ConvolutionGeometry(
                        false,
                        step.call().integers("stride"),
                        step.call().integers("padding"),
                        step.call().integers("padding"),
                        step.call().integers("dilation"),
                        List.of(),
                        step.call().integer("groups"));
        return geometry.write(
                step.draft(), step.x(), step.seen().rank(), step.name(1), step.name(2));
    }

    private static String transposedConvolution(Step step) {
        var geometry =
                new ConvolutionGeometry(
                        true,
                        step.call().integers("stride"),
                        step.call().integers("padding"),
                        step.call().integers("padding"),
                        step.call().integers("dilation"),
                        step.call().integers("output_padding"),
                        step.call().integer("groups"));
        return geometry.write(
                step.draft(), step.x(), step.seen().rank(), step.name(1), step.name(2));
    }

    private static String attention(Step step) {
        Draft draft = step.draft();
        long size = step.fixedExtent(0, step.seen().rank() - 1);
        int rank = step.seen(1).rank();
        List<Long> swapped = new ArrayList<>(Activations.range(0, rank));
        swapped.set(rank - 2, rank - 1L);
        swapped.set(rank - 1, rank - 2L);
        String keys = step.node("Transpose", node -> node.with("perm", swapped), step.name(1));
        String query = step.node("Mul", step.x(), step.number(1 / Math.sqrt(size)));
        String scores = step.node("MatMul", query, keys);
        if (step.has(3)) {
            scores =
                    step.seen(3).type() == ElementType.BOOL
                            ? step.node(
                                    "Where",
                                    step.name(3),
                                    scores,
                                    step.number(Double.NEGATIVE_INFINITY))
                            : step.node("Add", scores, step.name(3));
        }
        if (step.call().flag("is_causal")) {
            scores = causal(draft, step, scores);
        }
        String weights = step.node("Softmax", node -> node.with("axis", -1), scores);
        return step.node("MatMul", weights, step.name(2));
    }

    /** Scores with what lies above the diagonal left out. */
    private static String causal(Draft draft, Step step, String scores) {
        String ones = draft.node("Trilu", node -> node.with("upper", 0), onesLike(draft, scores));
        return draft.node(
                "Where",
                Casts.cast(draft, ElementType.BOOL, ones),
                scores,
                step.number(Double.NEGATIVE_INFINITY));
    }

    /** Ones in the shape of a value's last two dimensions, which others are repeated over. */
    private static String onesLike(Draft draft, String value) {
        String shape = draft.node("Shape", node -> node.with("start", -2), value);
        return draft.node(
                "ConstantOfShape",
                node ->
                        node.with(
                                "value",
                                Weights.scalar(ElementType.FLOAT, 1).reshaped(List.of(1L))),
                shape);
    }
}
