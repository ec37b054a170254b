package io.espalier.onnx.quant.conv;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.tensor.EspalierException;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Regions of the runtime's own integer operators, channels last, written anew with operators of the
 * standard alone: each as a float operator between DequantizeLinear and QuantizeLinear, channels
 * first. The runtime makes its integer operators of them again when it loads the model; others
 * compute the same in floats.
 */
public final class PortableForm {
    /** Since this version integers have a scale for each channel. */
    public static final long SINCE_OPSET = 13;

    private static final List<Long> TO_CHANNELS_LAST = List.of(0L, 2L, 3L, 1L);
    private static final List<Long> TO_CHANNELS_FIRST = List.of(0L, 3L, 1L, 2L);
    private static final int CHANNELS_LAST_AXIS = 3;

    private final OnnxGraph source;
    private final OnnxGraph graph;

    /** The values that are channels last, and what holds the same channels first. */
    private final Map<String, String> channelsFirst = new HashMap<>();

    private PortableForm(OnnxGraph source, OnnxGraph graph) {
        this.source = source;
        this.graph = graph;
    }

    /**
     * Writes a copy of a model anew; without the runtime's domain, if nothing calls it any more.
     *
     * @throws EspalierException if the model's operators are older than version 13
     */
    public static OnnxModel of(OnnxModel model) {
        if (model.graph().nodes().stream().noneMatch(PortableForm::isOwn)) {
            return model.withoutUnusedOpset(OnnxNode.MICROSOFT);
        }
        if (model.opset() < SINCE_OPSET) {
            throw new EspalierException(
                    "Integers by operators of the standard alone need its version %d; this model has %d."
                            .formatted(SINCE_OPSET, model.opset()));
        }
        return model.rewritten(graph -> new PortableForm(model.graph(), graph).write())
                .withoutUnusedOpset(OnnxNode.MICROSOFT);
    }

    private static boolean isOwn(OnnxNode node) {
        return node.domain().equals(OnnxNode.MICROSOFT);
    }

    private void write() {
        graph.nodes().forEach(graph::remove);
        for (OnnxNode node : source.nodes()) {
            if (isOwn(node)) {
                writeOwn(node);
            } else if (!graph.has(node.output())) {
                // Some were written with what they read.
                writeStandard(node);
            }
        }
        graph.removeUnused();
    }

    private void writeStandard(OnnxNode node) {
        if (node.is("Transpose") && node.integers("perm").equals(TO_CHANNELS_LAST)) {
            channelsFirst.put(node.output(), node.input(0));
        }
        if (node.is("DequantizeLinear") && channelsFirst.containsKey(node.input(0))) {
            OnnxNode back = source.onlyReader(node.output());
            if (back != null
                    && back.is("Transpose")
                    && back.integers("perm").equals(TO_CHANNELS_FIRST)) {
                graph.add(
                        node.withInput(0, first(node.input(0)))
                                .withOutputs(List.of(back.output())));
                return;
            }
        }
        graph.add(node);
    }

    private void writeOwn(OnnxNode node) {
        switch (node.op()) {
            case "QLinearConv" -> convolution(node);
            case "QLinearAdd" -> binary(node, "Add");
            case "QLinearMul" -> binary(node, "Mul");
            case "QLinearLeakyRelu" ->
                    unary(
                            node,
                            OnnxNode.of("LeakyRelu", List.of(""), "")
                                    .with("alpha", node.number("alpha", 0.01f)));
            case "QLinearSigmoid" -> unary(node, OnnxNode.of("Sigmoid", List.of(""), ""));
            case "QLinearGlobalAveragePool" ->
                    unary(node, OnnxNode.of("GlobalAveragePool", List.of(""), ""));
            case "QLinearAveragePool" ->
                    unary(
                            node,
                            geometry(node, OnnxNode.of("AveragePool", List.of(""), ""))
                                    .with("ceil_mode", node.integer("ceil_mode", 0))
                                    .with(
                                            "count_include_pad",
                                            node.integer("count_include_pad", 0)));
            case "QLinearConcat" -> concat(node);
            case "NhwcMaxPool" -> maxPool(node);
            default -> graph.add(node);
        }
    }

    private static OnnxNode geometry(OnnxNode from, OnnxNode to) {
        OnnxNode with = to;
        for (String attribute : List.of("kernel_shape", "strides", "pads", "dilations")) {
            with = from.has(attribute) ? with.with(attribute, from.integers(attribute)) : with;
        }
        return with;
    }

    /** The name of a channels-last value with its channels first. */
    private String first(String value) {
        String known = channelsFirst.get(value);
        if (known != null) {
            return known;
        }
        String first = fresh(value + "_first");
        graph.add(OnnxNode.of("Transpose", List.of(value), first).with("perm", TO_CHANNELS_FIRST));
        channelsFirst.put(value, first);
        return first;
    }

    /** A name like this one that no value has, written or not yet. */
    private String fresh(String like) {
        String name = graph.freshName(like);
        while (source.has(name)) {
            name = graph.freshName(name + "_");
        }
        return name;
    }

    private boolean areLast(List<String> values) {
        return channelsFirst.keySet().containsAll(values);
    }

    /** Writes the dequantized form of integers, and gives its name. */
    private String dequantized(String integers, String scale, String zeroPoint) {
        String floats = fresh(integers + "_d");
        graph.add(OnnxNode.of("DequantizeLinear", List.of(integers, scale, zeroPoint), floats));
        return floats;
    }

    /**
     * Writes an operator on floats and what quantizes its result.
     *
     * @param last whether the value of that name was channels last
     */
    private void quantized(
            OnnxNode operator,
            List<String> floats,
            String scale,
            String zeroPoint,
            String output,
            boolean last) {
        String result = fresh(output + "_f");
        String integers = last ? fresh(output + "_first") : output;
        graph.add(
                operator.withInputs(floats)
                        .withOutputs(List.of(result))
                        .withName(output + "/" + operator.op()));
        graph.add(OnnxNode.of("QuantizeLinear", List.of(result, scale, zeroPoint), integers));
        if (last) {
            define(output, integers);
        }
    }

    /** For who reads it as it was; nobody does, as a rule, and then it goes. */
    private void define(String channelsLast, String first) {
        channelsFirst.put(channelsLast, first);
        graph.add(
                OnnxNode.of("Transpose", List.of(first), channelsLast)
                        .with("perm", TO_CHANNELS_LAST));
    }

    private void convolution(OnnxNode node) {
        boolean last = node.integer("channels_last", 0) == 1;
        String x = last ? first(node.input(0)) : node.input(0);
        var floats = new ArrayList<String>();
        floats.add(dequantized(x, node.input(1), node.input(2)));
        ConstantTensor scales = constant(node, 4);
        floats.add(perChannel(node.input(3), node.input(4), scales, ElementType.INT8));
        if (!node.input(8).isEmpty()) {
            float inputScale = constant(node, 1).toFloats()[0];
            float[] bias = scales.toFloats();
            for (int c = 0; c < bias.length; c++) {
                bias[c] *= inputScale;
            }
            ConstantTensor sums = ConstantTensor.floats(scales.shape(), bias);
            String name = graph.addConstant(node.input(8) + "_s", sums);
            floats.add(perChannel(node.input(8), name, sums, ElementType.INT32));
        }
        OnnxNode conv =
                geometry(node, OnnxNode.of("Conv", List.of(""), ""))
                        .with("group", node.integer("group", 1));
        quantized(conv, floats, node.input(6), node.input(7), node.output(), last);
    }

    private ConstantTensor constant(OnnxNode node, int place) {
        ConstantTensor constant = source.constant(node.input(place));
        if (constant == null) {
            throw new EspalierException(
                    "The input %d of %s is no constant, which the standard's form needs."
                            .formatted(place, node.name()));
        }
        return constant;
    }

    /** Writes the floats of constant integers with a scale for each of the first dimension. */
    private String perChannel(
            String integers, String scales, ConstantTensor values, ElementType type) {
        int count = Math.toIntExact(values.elements() * type.bits() / 8);
        String zeros =
                graph.addConstant(
                        integers + "_z",
                        ConstantTensor.bytes(type, values.shape(), new byte[count]));
        String floats = fresh(integers + "_d");
        graph.add(
                OnnxNode.of("DequantizeLinear", List.of(integers, scales, zeros), floats)
                        .with("axis", 0));
        return floats;
    }

    private void unary(OnnxNode node, OnnxNode operator) {
        boolean last = node.integer("channels_last", 0) == 1 || areLast(List.of(node.input(0)));
        String x = last ? first(node.input(0)) : node.input(0);
        quantized(
                operator,
                List.of(dequantized(x, node.input(1), node.input(2))),
                node.input(3),
                node.input(4),
                node.output(),
                last);
    }

    private void binary(OnnxNode node, String op) {
        boolean last = areLast(List.of(node.input(0), node.input(3)));
        var floats = new ArrayList<String>();
        for (int place = 0; place < 6; place += 3) {
            String x = last ? first(node.input(place)) : node.input(place);
            floats.add(dequantized(x, node.input(place + 1), node.input(place + 2)));
        }
        quantized(
                OnnxNode.of(op, List.of(""), ""),
                floats,
                node.input(6),
                node.input(7),
                node.output(),
                last);
    }

    private void concat(OnnxNode node) {
        var values = new ArrayList<String>();
        for (int place = 2; place < node.inputs().size(); place += 3) {
            values.add(node.input(place));
        }
        boolean last = areLast(values) && node.integer("axis", 0) == CHANNELS_LAST_AXIS;
        var floats = new ArrayList<String>();
        for (int i = 0; i < values.size(); i++) {
            String x = last ? first(values.get(i)) : values.get(i);
            floats.add(dequantized(x, node.input(3 * i + 3), node.input(3 * i + 4)));
        }
        quantized(
                OnnxNode.of("Concat", List.of(""), "")
                        .with("axis", last ? 1 : node.integer("axis", 0)),
                floats,
                node.input(0),
                node.input(1),
                node.output(),
                last);
    }

    /** The largest of integers is the integer of the largest. */
    private void maxPool(OnnxNode node) {
        String first = fresh(node.output() + "_first");
        graph.add(
                geometry(node, OnnxNode.of("MaxPool", List.of(first(node.input(0))), first))
                        .with("ceil_mode", node.integer("ceil_mode", 0)));
        define(node.output(), first);
    }
}
