package io.espalier.onnx.quant.conv;

import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.quant.conv.Calibrator.Trial;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Writes pools of integers. */
final class PoolWriter {

    private PoolWriter() {}

    static void write(Unit.Pool unit, RegionWriter writer, Calibrator calibrator) {
        OnnxNode node = unit.node();
        IntegerValue input = writer.integers(node.input(0));
        String codes = writer.freshName(unit.output() + "_codes");
        if (node.is("MaxPool")) {
            OnnxNode pool =
                    OnnxNode.of(
                            OnnxNode.MICROSOFT,
                            "NhwcMaxPool",
                            List.of(input.codes()),
                            List.of(codes));
            writer.emit(geometry(node, pool).with("ceil_mode", node.integer("ceil_mode", 0)));
            writer.define(unit.output(), new IntegerValue(codes, input.scale()));
            return;
        }
        var nodes = new ArrayList<>(writer.dequantize(node.input(0), input, "trial_input"));
        nodes.add(node.withInputs(List.of("trial_input")).withOutputs(List.of("trial")));
        AffineScale scale = calibrator.ofFloats(new Trial(nodes, Map.of(), "trial"));
        var inputs = new ArrayList<>(List.of(input.codes()));
        inputs.addAll(writer.constants(node.input(0), input.scale()));
        if (node.is("GlobalAveragePool")) {
            inputs.addAll(writer.constants(unit.output(), scale));
            writer.emit(
                    OnnxNode.of(
                                    OnnxNode.MICROSOFT,
                                    "QLinearGlobalAveragePool",
                                    inputs,
                                    List.of(codes))
                            .with("channels_last", 1));
        } else {
            inputs.addAll(writer.constants(unit.output(), scale));
            writer.emit(
                    geometry(
                            node,
                            OnnxNode.of(
                                            OnnxNode.MICROSOFT,
                                            "QLinearAveragePool",
                                            inputs,
                                            List.of(codes))
                                    .with("channels_last", 1)));
        }
        writer.define(unit.output(), new IntegerValue(codes, scale));
    }

    private static OnnxNode geometry(OnnxNode from, OnnxNode to) {
        OnnxNode with = to;
        for (String attribute : List.of("kernel_shape", "strides", "pads", "dilations")) {
            if (from.has(attribute)) {
                with = with.with(attribute, from.integers(attribute));
            }
        }
        return with;
    }
}
