package io.espalier.onnx.quant.conv;

import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.quant.conv.Calibrator.Trial;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Writes what joins several values: sums, gates, values one after the other. */
final class JoinWriter {
    private JoinWriter() {}

    static void write(Unit.Sum unit, RegionWriter writer, Calibrator calibrator) {
        IntegerValue a = writer.integers(unit.node().input(0));
        IntegerValue b = writer.integers(unit.node().input(1));
        var nodes = new ArrayList<OnnxNode>();
        nodes.addAll(writer.dequantize(unit.node().input(0), a, "trial_a"));
        nodes.addAll(writer.dequantize(unit.node().input(1), b, "trial_b"));
        nodes.add(OnnxNode.of("Add", List.of("trial_a", "trial_b"), "trial_sum"));
        nodes.add(OnnxNode.of(unit.relu() ? "Relu" : "Identity", List.of("trial_sum"), "trial"));
        AffineScale scale = calibrator.ofFloats(new Trial(nodes, Map.of(), "trial"));
        String codes = binary(writer, "QLinearAdd", unit.output(), a, b, scale);
        writer.define(unit.output(), new IntegerValue(codes, scale));
    }

    static void write(Unit.Gate unit, RegionWriter writer, Calibrator calibrator) {
        IntegerValue value = writer.integers(unit.value());
        IntegerValue factor =
                writer.quantized(writer.floats(unit.factor()), new AffineScale(1f / 255, 0));
        var nodes = new ArrayList<OnnxNode>();
        nodes.addAll(writer.dequantize(unit.value(), value, "trial_a"));
        nodes.add(OnnxNode.of("Mul", List.of("trial_a", unit.factor()), "trial"));
        AffineScale scale = calibrator.ofFloats(new Trial(nodes, Map.of(), "trial"));
        String codes = product(writer, unit.output(), value, factor, scale);
        writer.define(unit.output(), new IntegerValue(codes, scale));
    }

    static void write(Unit.Joined unit, RegionWriter writer, Calibrator calibrator) {
        List<IntegerValue> values = unit.inputs().stream().map(writer::integers).toList();
        double low = 0;
        double high = 0;
        for (IntegerValue value : values) {
            low = Math.min(low, value.scale().value(0));
            high = Math.max(high, value.scale().value(255));
        }
        AffineScale scale = AffineScale.of(low, high);
        var inputs = new ArrayList<>(writer.constants(unit.output(), scale));
        for (int i = 0; i < values.size(); i++) {
            inputs.add(values.get(i).codes());
            inputs.addAll(writer.constants(unit.inputs().get(i), values.get(i).scale()));
        }
        String codes = writer.freshName(unit.output() + "_codes");
        writer.emit(
                OnnxNode.of(OnnxNode.MICROSOFT, "QLinearConcat", inputs, List.of(codes))
                        .with("axis", 3));
        writer.define(unit.output(), new IntegerValue(codes, scale));
    }

    /** Writes the product of two values, and gives the name of its codes. */
    static String product(
            RegionWriter writer, String value, IntegerValue a, IntegerValue b, AffineScale scale) {
        return binary(writer, "QLinearMul", value, a, b, scale);
    }

    private static String binary(
            RegionWriter writer,
            String op,
            String value,
            IntegerValue a,
            IntegerValue b,
            AffineScale scale) {
        var inputs = new ArrayList<String>();
        for (IntegerValue each : List.of(a, b)) {
            inputs.add(each.codes());
            inputs.addAll(writer.constants(each.codes(), each.scale()));
        }
        inputs.addAll(writer.constants(value, scale));
        String codes = writer.freshName(value + "_codes");
        writer.emit(OnnxNode.of(OnnxNode.MICROSOFT, op, inputs, List.of(codes)));
        return codes;
    }
}
