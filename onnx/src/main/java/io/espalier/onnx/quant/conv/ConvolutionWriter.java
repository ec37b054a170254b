package io.espalier.onnx.quant.conv;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.quant.conv.Calibrator.Trial;
import io.espalier.onnx.quant.conv.Unit.UniformAffine;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/** Writes convolutions: in integers with what follows them, or in floats with stored integers. */
final class ConvolutionWriter {
    /** A sum of products and a bias stays below this, so that 32 bits hold it. */
    private static final double LARGEST_BIAS = 1L << 28;

    private final RegionWriter writer;
    private final Calibrator calibrator;
    private final WeightRounding rounding;

    ConvolutionWriter(RegionWriter writer, Calibrator calibrator, WeightRounding rounding) {
        this.writer = writer;
        this.calibrator = calibrator;
        this.rounding = rounding;
    }

    /** A float convolution; its weight is kept as integers if that is asked for. */
    void writeFloat(OnnxNode node, StoredWeights stored) {
        ConstantTensor weight = writer.source().constant(node.input(1));
        boolean corrected =
                weight != null
                        && StoredWeights.axis(node, weight) == 0
                        && (node.input(2).isEmpty()
                                || writer.source().constant(node.input(2)) != null);
        if (weight == null || !corrected) {
            writer.emit(stored.store(node, rounding));
            return;
        }
        float[] bias = bias(node, Math.toIntExact(weight.shape().getFirst()));
        ConstantTensor near = calibrator.weight(node, weight, List.of());
        RoundedWeight rounded = rounding.rounded(0, near);
        float[] fitted =
                calibrator.bias(node.output(), bias, floatTrial(node, rounded, bias, List.of()));
        String codes = stored.write(node.input(1), rounded, 0);
        writer.emit(node.withInputs(List.of(node.input(0), codes, biasConstant(node, fitted))));
    }

    private String biasConstant(OnnxNode node, float[] bias) {
        return writer.constant(
                node.output() + "_bias", ConstantTensor.floats(List.of((long) bias.length), bias));
    }

    private float[] bias(OnnxNode node, int channels) {
        return node.input(2).isEmpty()
                ? new float[channels]
                : Objects.requireNonNull(writer.source().constant(node.input(2))).toFloats();
    }

    /** The convolution in floats, with its rounded weight. */
    private Trial floatTrial(
            OnnxNode node, RoundedWeight weight, float[] bias, List<OnnxNode> before) {
        Map<String, ConstantTensor> constants = new HashMap<>();
        constants.put("trial_weight", ConstantTensor.floats(weight.shape(), weight.values()));
        constants.put("trial_bias", ConstantTensor.floats(List.of((long) bias.length), bias));
        String input = before.isEmpty() ? node.input(0) : before.getLast().output();
        var nodes = new ArrayList<>(before);
        nodes.add(
                node.withInputs(List.of(input, "trial_weight", "trial_bias"))
                        .withOutputs(List.of("trial")));
        return new Trial(nodes, constants, "trial");
    }

    /** A convolution in integers with its activation. */
    void writeIntegers(Unit.Convolution unit) {
        OnnxNode node = unit.node();
        IntegerValue input = writer.integers(node.input(0));
        ConstantTensor weight =
                Objects.requireNonNull(writer.source().constant(node.input(1)), node::name);
        float[] bias = bias(node, Math.toIntExact(weight.shape().getFirst()));
        List<OnnxNode> before = writer.dequantize(node.input(0), input, "trial_input");
        RoundedWeight rounded =
                rounding.rounded(
                        0, calibrator.weight(node, weight, before), floors(bias, input.scale()));
        Calibrator.Fit fit =
                calibrator.fit(
                        unit.raw(),
                        bias,
                        floatTrial(node, rounded, bias, before),
                        unit.activation());
        IntegerValue raw = convolution(node, input, rounded, fit.bias(), fit.scale());
        writer.inside(unit.raw(), fit.scale());
        switch (unit.activation()) {
            case NONE, RELU, RELU6 -> writer.define(unit.output(), raw);
            case HARD_SWISH -> writer.define(unit.output(), hardSwish(unit, raw));
            case SILU -> writer.define(unit.output(), silu(unit, raw));
        }
    }

    /** The least scales with which each channel's bias fits 32 bits. */
    private static float[] floors(float[] bias, AffineScale input) {
        var floors = new float[bias.length];
        for (int c = 0; c < bias.length; c++) {
            floors[c] = (float) (Math.abs(bias[c]) / (input.scale() * LARGEST_BIAS));
        }
        return floors;
    }

    private IntegerValue convolution(
            OnnxNode node,
            IntegerValue input,
            RoundedWeight weight,
            float[] bias,
            AffineScale scale) {
        String value = node.output();
        var codes = new byte[bias.length * Integer.BYTES];
        var sums = java.nio.ByteBuffer.wrap(codes).order(java.nio.ByteOrder.LITTLE_ENDIAN);
        for (int c = 0; c < bias.length; c++) {
            double code = bias[c] / ((double) input.scale().scale() * weight.scales()[c]);
            sums.putInt((int) Math.clamp(Math.rint(code), -(1L << 30), 1L << 30));
        }
        List<Long> channels = List.of((long) bias.length);
        var inputs = new ArrayList<>(List.of(input.codes()));
        inputs.addAll(writer.constants(node.input(0), input.scale()));
        inputs.add(writer.constant(value + "_weight", weight.codesTensor()));
        inputs.add(writer.constant(value + "_weight_scales", weight.scalesTensor(channels)));
        inputs.add(
                writer.constant(
                        value + "_weight_zero_point",
                        ConstantTensor.bytes(ElementType.INT8, List.of(), (byte) 0)));
        inputs.addAll(writer.constants(value, scale));
        inputs.add(
                writer.constant(
                        value + "_bias", ConstantTensor.bytes(ElementType.INT32, channels, codes)));
        String name = writer.freshName(value + "_codes");
        OnnxNode integers =
                OnnxNode.of(OnnxNode.MICROSOFT, "QLinearConv", inputs, List.of(name))
                        .with("channels_last", 1);
        for (String attribute : List.of("dilations", "pads", "strides")) {
            long ifAbsent = attribute.equals("pads") ? 0 : 1;
            if (node.integers(attribute).stream().anyMatch(number -> number != ifAbsent)) {
                integers = integers.with(attribute, node.integers(attribute));
            }
        }
        long groups = node.integer("group", 1);
        writer.emit(groups == 1 ? integers : integers.with("group", groups));
        return new IntegerValue(name, scale);
    }

    /**
     * A factor from a saturating table, and its product with the codes. A shift and a scale that
     * follow cost nothing: they only change what the codes stand for.
     */
    private IntegerValue hardSwish(Unit.Convolution unit, IntegerValue raw) {
        String value = unit.output();
        AffineScale scale = raw.scale();
        UniformAffine affine = unit.affine();
        Shifted shifted =
                affine == null
                        ? new Shifted(
                                calibrator.ofFunction(
                                        raw,
                                        x -> HardSwish.ofCode(scale, scale.code(x)),
                                        share ->
                                                AffineScale.of(
                                                        HardSwish.LEAST,
                                                        Math.max(0.1, largest(scale) * share))),
                                0)
                        : shifted(raw, affine);
        var inputs = new ArrayList<>(List.of(raw.codes()));
        inputs.addAll(writer.constants(value + "_above", new AffineScale(scale.scale(), 0)));
        inputs.addAll(
                writer.constants(value + "_sixth", new AffineScale(HardSwish.FACTOR_STEP, 0)));
        String factor = writer.freshName(value + "_factor");
        writer.emit(
                OnnxNode.of(OnnxNode.MICROSOFT, "QLinearLeakyRelu", inputs, List.of(factor))
                        .with("alpha", 1f));
        String codes =
                JoinWriter.product(
                        writer,
                        value,
                        raw,
                        new IntegerValue(factor, new AffineScale(1f / 255, 0)),
                        shifted.scale());
        AffineScale stands = shifted.scale();
        return new IntegerValue(
                codes,
                affine == null
                        ? stands
                        : new AffineScale(
                                stands.scale() * affine.scale(),
                                stands.zeroPoint() - shifted.codes()));
    }

    private static double largest(AffineScale scale) {
        return HardSwish.of(scale.value(255));
    }

    /** Codes, and how many of them a shift of the numbers moves the zero point by. */
    private record Shifted(AffineScale scale, int codes) {}

    /** Codes for a hard swish under which what is added afterwards is a whole number of steps. */
    private Shifted shifted(IntegerValue raw, UniformAffine affine) {
        AffineScale scale = raw.scale();
        double shift = affine.shift() / affine.scale();
        AffineScale best =
                calibrator.ofFunction(
                        raw,
                        x -> HardSwish.ofCode(scale, scale.code(x)),
                        share -> whole(Math.max(0.1, largest(scale) * share), shift).scale());
        return new Shifted(best, (int) Math.rint(shift / best.scale()));
    }

    private static Shifted whole(double high, double shift) {
        double low = Math.min(HardSwish.LEAST, -shift);
        double top = Math.max(high, -shift);
        double step = (top - low) / 255;
        int codes = (int) Math.rint(shift / step);
        if (codes != 0) {
            step = shift / codes;
        }
        int zeroPoint = (int) Math.rint(-low / step);
        int clamped = Math.clamp(zeroPoint, Math.max(0, codes), 255 + Math.min(0, codes));
        return new Shifted(new AffineScale((float) step, clamped), codes);
    }

    private IntegerValue silu(Unit.Convolution unit, IntegerValue raw) {
        String value = unit.output();
        var unitScale = new AffineScale(1f / 255, 0);
        AffineScale scale =
                calibrator.ofFunction(
                        raw,
                        x -> x * unitScale.rounded((float) (1 / (1 + Math.exp(-x)))),
                        share -> AffineScale.of(-0.2785, Math.max(0.1, silu(raw) * share)));
        var inputs = new ArrayList<>(List.of(raw.codes()));
        inputs.addAll(writer.constants(unit.raw(), raw.scale()));
        inputs.addAll(writer.constants(value + "_sigmoid", unitScale));
        String factor = writer.freshName(value + "_factor");
        writer.emit(OnnxNode.of(OnnxNode.MICROSOFT, "QLinearSigmoid", inputs, List.of(factor)));
        String codes =
                JoinWriter.product(writer, value, raw, new IntegerValue(factor, unitScale), scale);
        return new IntegerValue(codes, scale);
    }

    private static double silu(IntegerValue raw) {
        double x = raw.scale().value(255);
        return x / (1 + Math.exp(-x));
    }
}
