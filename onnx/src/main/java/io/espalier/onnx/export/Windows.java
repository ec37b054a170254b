package io.espalier.onnx.export;

import static io.espalier.onnx.export.OperatorTable.row;

import io.espalier.graph.GraphOperator;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.tensor.EspalierException;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Windows that move over spatial dimensions, and padding. */
final class Windows {
    private Windows() {}

    static void addTo(Map<GraphOperator, OperatorWriter> rows) {
        row(rows, GraphOperator.MAX_POOL1D, step -> maxPool(step, 1));
        row(rows, GraphOperator.MAX_POOL2D, step -> maxPool(step, 2));
        row(rows, GraphOperator.MAX_POOL3D, step -> maxPool(step, 3));
        row(rows, GraphOperator.AVG_POOL3D, step -> averagePool(step, 3));
        row(rows, GraphOperator.AVG_POOL1D, step -> averagePool(step, 1));
        row(rows, GraphOperator.AVG_POOL2D, step -> averagePool(step, 2));
        row(rows, GraphOperator.ADAPTIVE_AVG_POOL1D, step -> adaptivePool(step, 1));
        row(rows, GraphOperator.ADAPTIVE_AVG_POOL2D, step -> adaptivePool(step, 2));
        row(rows, GraphOperator.PAD, Windows::pad);
    }

    private static OnnxNode window(OnnxNode node, Step step, int spatial) {
        List<Long> kernel = step.call().integers("kernel_size");
        List<Long> given = step.call().integers("stride");
        List<Long> padding = expanded(step.call().integers("padding"), spatial);
        List<Long> pads = new ArrayList<>(padding);
        pads.addAll(padding);
        return node.with("kernel_shape", expanded(kernel, spatial))
                .with("strides", expanded(given.isEmpty() ? kernel : given, spatial))
                .with("pads", pads)
                .with("ceil_mode", step.call().flag("ceil_mode") ? 1 : 0);
    }

    private static List<Long> expanded(List<Long> numbers, int spatial) {
        List<Long> all = new ArrayList<>();
        for (int d = 0; d < spatial; d++) {
            all.add(numbers.get(numbers.size() == 1 ? 0 : d));
        }
        return all;
    }

    private static String maxPool(Step step, int spatial) {
        return Batches.around(
                step.draft(),
                step.x(),
                step.seen().rank(),
                spatial + 2,
                batch ->
                        step.node(
                                "MaxPool",
                                node ->
                                        window(node, step, spatial)
                                                .with(
                                                        "dilations",
                                                        expanded(
                                                                step.call().integers("dilation"),
                                                                spatial)),
                                batch));
    }

    private static String averagePool(Step step, int spatial) {
        long countsPadding = step.call().flag("count_include_pad") ? 1 : 0;
        return Batches.around(
                step.draft(),
                step.x(),
                step.seen().rank(),
                spatial + 2,
                batch ->
                        step.node(
                                "AveragePool",
                                node ->
                                        window(node, step, spatial)
                                                .with("count_include_pad", countsPadding),
                                batch));
    }

    private static String adaptivePool(Step step, int spatial) {
        List<Long> wanted = expanded(step.call().integers("output_size"), spatial);
        return Batches.around(
                step.draft(),
                step.x(),
                step.seen().rank(),
                spatial + 2,
                batch ->
                        wanted.stream().allMatch(size -> size == 1)
                                ? step.node("GlobalAveragePool", batch)
                                : adaptivePool(step, spatial, wanted, batch));
    }

    private static String adaptivePool(Step step, int spatial, List<Long> wanted, String batch) {
        List<Long> windows = new ArrayList<>();
        List<Long> extents = new ArrayList<>();
        boolean even = true;
        for (int d = 0; d < spatial; d++) {
            long extent = step.fixedExtent(0, step.seen().rank() - spatial + d);
            extents.add(extent);
            even &= extent % wanted.get(d) == 0;
            windows.add(extent / wanted.get(d));
        }
        if (even) {
            return step.node(
                    "AveragePool",
                    node -> node.with("kernel_shape", windows).with("strides", windows),
                    batch);
        }
        String last =
                step.node("MatMul", batch, means(step, extents.getLast(), wanted.getLast(), false));
        return spatial == 1
                ? last
                : step.node(
                        "MatMul", means(step, extents.getFirst(), wanted.getFirst(), true), last);
    }

    /** The matrix that takes means over windows that differ in length. */
    private static String means(Step step, long from, long to, boolean fromLeft) {
        float[] matrix = new float[Math.toIntExact(Math.multiplyExact(from, to))];
        for (long out = 0; out < to; out++) {
            long start = out * from / to;
            long end = Math.ceilDiv((out + 1) * from, to);
            for (long in = start; in < end; in++) {
                long at = fromLeft ? out * from + in : in * to + out;
                matrix[Math.toIntExact(at)] = 1f / (end - start);
            }
        }
        List<Long> shape = fromLeft ? List.of(to, from) : List.of(from, to);
        return step.draft().constant("means", ConstantTensor.floats(shape, matrix));
    }

    private static String pad(Step step) {
        List<?> sides = (List<?>) step.call().attribute("pad").orElseThrow();
        int rank = step.seen().rank();
        String mode = step.call().text("mode");
        if (mode.equals("circular")) {
            return circular(step, step.call().integers("pad"), rank);
        }
        Object none = 0L;
        List<Object> pads = new ArrayList<>();
        for (int side = 0; side < 2; side++) {
            for (int dim = 0; dim < rank; dim++) {
                int at = 2 * (rank - 1 - dim) + side;
                pads.add(at < sides.size() ? sides.get(at) : none);
            }
        }
        String value =
                mode.equals("constant")
                        ? step.number(
                                step.call().attribute("value").map(v -> (Double) v).orElse(0.0))
                        : "";
        return step.node(
                "Pad",
                node -> node.with("mode", onnxMode(mode)),
                step.x(),
                step.sizes().list(pads, step.x()),
                value);
    }

    private static String onnxMode(String mode) {
        return switch (mode) {
            case "constant", "reflect" -> mode;
            case "replicate" -> "edge";
            default -> throw new EspalierException("there is no padding by " + mode + " in ONNX.");
        };
    }

    /** Puts the other end of each dimension before and after it. */
    private static String circular(Step step, List<Long> sides, int rank) {
        return circular(step.draft(), step.x(), sides, rank);
    }

    /**
     * An input padded by its other side.
     *
     * @param sides two numbers for each dimension, the last dimension first
     */
    static String circular(Draft draft, String x, List<Long> sides, int rank) {
        String padded = x;
        for (int i = 0; 2 * i < sides.size(); i++) {
            long dim = rank - 1L - i;
            long before = sides.get(2 * i);
            long after = sides.get(2 * i + 1);
            List<String> parts = new ArrayList<>();
            if (before > 0) {
                parts.add(slice(draft, padded, dim, -before, Long.MAX_VALUE));
            }
            parts.add(padded);
            if (after > 0) {
                parts.add(slice(draft, padded, dim, 0, after));
            }
            if (parts.size() > 1) {
                padded =
                        draft.node(
                                "Concat",
                                node -> node.with("axis", dim),
                                parts.toArray(String[]::new));
            }
        }
        return padded;
    }

    private static String slice(Draft draft, String x, long dim, long from, long to) {
        return draft.node("Slice", x, draft.longs(from), draft.longs(to), draft.longs(dim));
    }
}
