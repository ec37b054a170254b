package io.espalier.onnx.export;

import static io.espalier.onnx.export.OperatorTable.row;

import io.espalier.graph.GraphOperator;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.tensor.EspalierException;

import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;

/** Pictures and sequences made larger or smaller. */
final class Resizing {
    /** The constant of libtorch's cubic curves. */
    private static final float CUBIC = -0.75f;

    /** From here on modes of sampling have the names that they have in resizing. */
    private static final long OPSET_OF_RENAMED_MODES = 20;

    private Resizing() {}

    static void addTo(Map<GraphOperator, OperatorWriter> rows) {
        UnaryOperator<OnnxNode> nearest =
                node ->
                        node.with("mode", "nearest")
                                .with("coordinate_transformation_mode", "asymmetric")
                                .with("nearest_mode", "floor");
        row(rows, GraphOperator.UPSAMPLE_NEAREST1D, step -> resize(step, nearest));
        row(rows, GraphOperator.UPSAMPLE_NEAREST2D, step -> resize(step, nearest));
        row(rows, GraphOperator.UPSAMPLE_NEAREST3D, step -> resize(step, nearest));
        row(rows, GraphOperator.UPSAMPLE_TRILINEAR3D, step -> resize(step, along(step, "linear")));
        row(rows, GraphOperator.GRID_SAMPLER, Resizing::sample);
        row(rows, GraphOperator.UPSAMPLE_LINEAR1D, step -> resize(step, along(step, "linear")));
        row(rows, GraphOperator.UPSAMPLE_BILINEAR2D, step -> resize(step, along(step, "linear")));
        row(
                rows,
                GraphOperator.UPSAMPLE_BICUBIC2D,
                step ->
                        resize(
                                step,
                                node ->
                                        along(step, "cubic")
                                                .apply(node)
                                                .with("cubic_coeff_a", CUBIC)));
    }

    /** The numbers of modes are libtorch's. */
    private static String sample(Step step) {
        boolean renamed = step.draft().opset() >= OPSET_OF_RENAMED_MODES;
        if (step.seen().rank() != 4 && !renamed) {
            throw new EspalierException(
                    "volumes are sampled at grids from opset %d on; ask for that."
                            .formatted(OPSET_OF_RENAMED_MODES));
        }
        List<String> modes =
                renamed
                        ? List.of("linear", "nearest", "cubic")
                        : List.of("bilinear", "nearest", "bicubic");
        List<String> paddings = List.of("zeros", "border", "reflection");
        int mode = Math.toIntExact(step.call().integer("interpolation_mode"));
        int padding = Math.toIntExact(step.call().integer("padding_mode"));
        return step.node(
                "GridSample",
                node ->
                        node.with("mode", modes.get(mode))
                                .with("padding_mode", paddings.get(padding))
                                .with("align_corners", step.call().flag("align_corners") ? 1 : 0),
                step.x(),
                step.name(1));
    }

    private static UnaryOperator<OnnxNode> along(Step step, String mode) {
        String coordinates = step.call().flag("align_corners") ? "align_corners" : "half_pixel";
        return node -> node.with("mode", mode).with("coordinate_transformation_mode", coordinates);
    }

    private static String resize(Step step, UnaryOperator<OnnxNode> how) {
        Draft draft = step.draft();
        var factors = step.call().attribute("scale_factors");
        if (factors.isPresent()) {
            List<?> given = (List<?>) factors.get();
            float[] scales = new float[2 + given.size()];
            scales[0] = 1;
            scales[1] = 1;
            for (int d = 0; d < given.size(); d++) {
                scales[2 + d] = (float) (double) (Double) given.get(d);
            }
            String constant =
                    draft.constant(
                            "scales", ConstantTensor.floats(List.of((long) scales.length), scales));
            return step.node("Resize", how, step.x(), "", constant);
        }
        List<?> sizes = (List<?>) step.call().attribute("output_size").orElseThrow();
        String before = draft.node("Shape", node -> node.with("start", 0).with("end", 2), step.x());
        String all =
                draft.node(
                        "Concat",
                        node -> node.with("axis", 0),
                        before,
                        step.sizes().list(sizes, step.x()));
        return step.node("Resize", how, step.x(), "", "", all);
    }
}
