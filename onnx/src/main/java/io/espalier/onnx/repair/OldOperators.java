package io.espalier.onnx.repair;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxNode;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.List;

/**
 * What changed of the standard's operators from version 7 to 11, by its Changelog.md: attributes
 * became inputs, and Upsample and the first Resize are cases of a later one.
 */
final class OldOperators {
    /** The oldest version that is known here, the first whose operators broadcast. */
    static final long OLDEST = 7;

    /** The version that nodes are brought to. */
    static final long NEWEST = 11;

    private OldOperators() {}

    /** Whether an operator changed since. */
    static boolean changed(OnnxNode node) {
        return switch (node.op()) {
            case "BatchNormalization",
                    "Clip",
                    "Dropout",
                    "Pad",
                    "Resize",
                    "Scatter",
                    "Slice",
                    "TopK",
                    "Upsample" ->
                    true;
            default -> false;
        };
    }

    /** Whether a node of an operator that changed can be written in version 11. */
    static boolean canBeConverted(Subject subject, OnnxNode node) {
        OnnxGraph graph = subject.graph();
        boolean isFloat = subject.type(node.input(0)) == ElementType.FLOAT;
        return switch (node.op()) {
            case "BatchNormalization" -> node.integer("spatial", 1) == 1;
            case "Clip" -> isFloat;
            case "Pad" -> isFloat && node.has("pads");
            case "Dropout" -> {
                String mask = node.output(1);
                yield mask.isEmpty() || (graph.readers(mask).isEmpty() && !graph.isOutput(mask));
            }
            case "Resize", "Upsample" -> enlarges(graph, node);
            default -> true;
        };
    }

    /** The first Resize and the last one round alike only where nothing becomes smaller. */
    private static boolean enlarges(OnnxGraph graph, OnnxNode node) {
        float[] scales = scales(graph, node);
        if (scales == null) {
            return false;
        }
        for (float scale : scales) {
            if (!(scale >= 1)) {
                return false;
            }
        }
        return List.of("nearest", "linear").contains(node.text("mode", "nearest"));
    }

    private static float @Nullable [] scales(OnnxGraph graph, OnnxNode node) {
        if (node.has("scales")) {
            List<Float> given = node.numbers("scales");
            var scales = new float[given.size()];
            for (int i = 0; i < scales.length; i++) {
                scales[i] = given.get(i);
            }
            return scales;
        }
        ConstantTensor constant = graph.constant(node.input(1));
        return constant == null || constant.type() != ElementType.FLOAT
                ? null
                : constant.toFloats();
    }

    /** Writes a node as version 11 has it. */
    static void convert(OnnxGraph graph, OnnxNode node) {
        switch (node.op()) {
            case "Clip" -> replace(graph, node, List.of("min", "max"), bounds(graph, node));
            case "Pad" -> replace(graph, node, List.of("pads", "value"), padding(graph, node));
            case "Slice" -> {
                if (node.has("starts")) {
                    replace(graph, node, List.of("starts", "ends", "axes"), parts(graph, node));
                }
            }
            case "TopK" -> {
                if (node.has("k")) {
                    replace(graph, node, List.of("k"), List.of(row(graph, node, "k")));
                }
            }
            case "BatchNormalization" -> graph.replace(node, node.without("spatial"));
            case "Scatter" -> graph.replace(node, node.withOp("ScatterElements"));
            case "Resize", "Upsample" -> resize(graph, node);
            default -> {}
        }
    }

    private static void replace(
            OnnxGraph graph, OnnxNode node, List<String> attributes, List<String> inputs) {
        OnnxNode plain = node;
        for (String attribute : attributes) {
            plain = plain.without(attribute);
        }
        var all = new ArrayList<>(List.of(node.input(0)));
        all.addAll(inputs);
        graph.replace(node, plain.withInputs(all));
    }

    private static List<String> bounds(OnnxGraph graph, OnnxNode node) {
        var bounds = new ArrayList<String>();
        for (String name : List.of("min", "max")) {
            bounds.add(node.has(name) ? scalar(graph, node, name, node.number(name, 0)) : "");
        }
        return bounds;
    }

    private static List<String> padding(OnnxGraph graph, OnnxNode node) {
        return List.of(
                row(graph, node, "pads"), scalar(graph, node, "value", node.number("value", 0)));
    }

    private static List<String> parts(OnnxGraph graph, OnnxNode node) {
        var parts = new ArrayList<>(List.of(row(graph, node, "starts"), row(graph, node, "ends")));
        if (node.has("axes")) {
            parts.add(row(graph, node, "axes"));
        }
        return parts;
    }

    private static void resize(OnnxGraph graph, OnnxNode node) {
        float[] scales = scales(graph, node);
        if (scales == null) {
            return;
        }
        String name =
                graph.addConstant(
                        node.output() + "_scales",
                        ConstantTensor.floats(List.of((long) scales.length), scales));
        String region =
                graph.addConstant(node.output() + "_roi", ConstantTensor.floats(List.of(0L)));
        OnnxNode resize =
                node.withOp("Resize")
                        .without("scales")
                        .withInputs(List.of(node.input(0), region, name))
                        .with("coordinate_transformation_mode", "asymmetric");
        graph.replace(
                node,
                node.text("mode", "nearest").equals("nearest")
                        ? resize.with("nearest_mode", "floor")
                        : resize);
    }

    private static String scalar(OnnxGraph graph, OnnxNode node, String attribute, float value) {
        return graph.addConstant(node.output() + "_" + attribute, ConstantTensor.scalar(value));
    }

    private static String row(OnnxGraph graph, OnnxNode node, String attribute) {
        List<Long> values =
                attribute.equals("k") ? List.of(node.integer("k", 1)) : node.integers(attribute);
        return graph.addConstant(
                node.output() + "_" + attribute,
                ConstantTensor.longs(
                        List.of((long) values.size()),
                        values.stream().mapToLong(Long::longValue).toArray()));
    }
}
