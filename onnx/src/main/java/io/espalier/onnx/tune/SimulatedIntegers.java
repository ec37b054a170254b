package io.espalier.onnx.tune;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.quant.observer.Qscheme;
import io.espalier.quant.observer.QuantizationParameters;
import io.espalier.quant.observer.QuantizedType;
import io.espalier.tensor.EspalierException;

import org.jspecify.annotations.Nullable;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * A model in 8-bit integers, written anew in floats that are rounded where it rounds: layers with
 * float weights, each as its integers stand for, and a fake quantization in the place of each
 * QuantizeLinear. Gradients go through it, and what they make of the weights leads back to the
 * integers.
 */
final class SimulatedIntegers {
    /** What gives of integers those of the same numbers. */
    private static final Set<String> KEEPING_NUMBERS =
            Set.of(
                    "MaxPool",
                    "Transpose",
                    "Reshape",
                    "Flatten",
                    "Squeeze",
                    "Unsqueeze",
                    "Identity");

    private static final double LARGEST_BIAS = 1L << 30;

    /** What weights of one integer are multiplied by, more or less, beside which a bias stands. */
    private static final float USUAL_INPUT = 127;

    private final OnnxGraph graph;
    private final Map<String, Codes> values = new HashMap<>();
    private final Map<String, HeldIntegers> weights = new LinkedHashMap<>();

    /**
     * Integers that a file holds.
     *
     * @param name of the constant
     * @param scales one for each place along an axis, or one
     * @param axis −1 if there is one scale
     */
    @SuppressWarnings("ArrayRecordComponent") // never leaves the package
    record HeldIntegers(String name, ConstantTensor codes, float[] scales, int axis) {
        /** The floats that they stand for. */
        ConstantTensor floats() {
            float[] floats = codes.toFloats();
            for (int i = 0; i < floats.length; i++) {
                floats[i] *= scale(i);
            }
            return ConstantTensor.floats(codes.shape(), floats);
        }

        /** About what one integer of a weight is, for each number. */
        ConstantTensor steps() {
            var steps = new float[Math.toIntExact(codes.elements())];
            boolean isBias = codes.type() == ElementType.INT32;
            for (int i = 0; i < steps.length; i++) {
                steps[i] = InSteps.near(scale(i) * (isBias ? USUAL_INPUT : 1));
            }
            return ConstantTensor.floats(codes.shape(), steps);
        }

        /** How bytes stand for floats, for channels along this axis; −1 where all share a scale. */
        QuantizationParameters range(int channels) {
            return new QuantizationParameters(
                    scales,
                    new int[scales.length],
                    channels,
                    QuantizedType.QINT8,
                    channels < 0 ? Qscheme.PER_TENSOR_SYMMETRIC : Qscheme.PER_CHANNEL_SYMMETRIC,
                    -Byte.MAX_VALUE,
                    Byte.MAX_VALUE);
        }

        /** The integers nearest to floats. */
        ConstantTensor nearest(ConstantTensor floats) {
            float[] values = floats.toFloats();
            boolean wide = codes.type() == ElementType.INT32;
            var bytes =
                    ByteBuffer.allocate(values.length * (wide ? Integer.BYTES : 1))
                            .order(ByteOrder.LITTLE_ENDIAN);
            for (int i = 0; i < values.length; i++) {
                double code = Math.rint(values[i] / (double) scale(i));
                if (wide) {
                    bytes.putInt((int) Math.clamp(code, -LARGEST_BIAS, LARGEST_BIAS));
                } else {
                    bytes.put((byte) Math.clamp(code, -Byte.MAX_VALUE, Byte.MAX_VALUE));
                }
            }
            return ConstantTensor.bytes(codes.type(), codes.shape(), bytes.array());
        }

        private float scale(int element) {
            if (axis < 0) {
                return scales[0];
            }
            int inner = 1;
            for (int d = axis + 1; d < codes.shape().size(); d++) {
                inner *= Math.toIntExact(codes.shape().get(d));
            }
            return scales[element / inner % scales.length];
        }
    }

    /** Floats in the place of integers, and what the integers stood for. */
    private record Codes(String floats, float scale, long zeroPoint) {}

    /** A model to be trained, and what its float constants are made of. */
    record Simulation(OnnxModel model, Map<String, HeldIntegers> weights) {}

    private SimulatedIntegers(OnnxGraph graph) {
        this.graph = graph;
    }

    /**
     * Writes a copy of a model in floats.
     *
     * @param integers with QuantizeLinear and DequantizeLinear around operators of floats, and the
     *     runtime's MatMulIntegerToFloat
     * @throws EspalierException if another operator computes with integers
     */
    static Simulation of(OnnxModel integers) {
        var all = new LinkedHashMap<String, HeldIntegers>();
        OnnxModel floats =
                integers.withOpset(OnnxNode.ESPALIER, 1)
                        .rewritten(graph -> {
                            var simulated = new SimulatedIntegers(graph);
                            graph.nodes().forEach(simulated::rewrite);
                            graph.removeUnused();
                            all.putAll(simulated.weights);
                        });
        return new Simulation(floats, all);
    }

    private void rewrite(OnnxNode node) {
        Codes read = values.get(node.input(0));
        if (node.is("QuantizeLinear")) {
            quantize(node);
        } else if (node.is("DequantizeLinear")) {
            dequantize(node, read);
        } else if (read != null && KEEPING_NUMBERS.contains(node.op())) {
            String floats = graph.freshName(node.output() + "_floats");
            graph.add(node.withInput(0, read.floats()).withOutputs(List.of(floats)));
            values.put(node.output(), new Codes(floats, read.scale(), read.zeroPoint()));
        } else if (read != null && node.op().equals("MatMulIntegerToFloat")) {
            product(node, read);
        } else if (node.reads().stream().anyMatch(values::containsKey)) {
            throw new EspalierException(
                    "The node '%s' (%s) computes with integers in a way that can't be trained."
                            .formatted(node.name(), node.op()));
        }
    }

    private void quantize(OnnxNode node) {
        ConstantTensor scale = graph.constant(node.input(1));
        ConstantTensor zero = graph.constant(node.input(2));
        boolean signed = zero != null && zero.type() == ElementType.INT8;
        if (scale == null
                || scale.elements() != 1
                || !(zero == null ? node.input(2).isEmpty() : isByte(zero))) {
            throw new EspalierException(
                    "The node '%s' can't be trained: it needs one constant scale, and bytes."
                            .formatted(node.name()));
        }
        String floats = graph.freshName(node.output() + "_floats");
        var codes = new Codes(floats, scale.toFloats()[0], zero == null ? 0 : code(zero));
        graph.add(
                OnnxNode.of(
                                OnnxNode.ESPALIER,
                                "FakeQuantize",
                                List.of(node.input(0)),
                                List.of(floats))
                        .with("scale", codes.scale())
                        .with("zero_point", codes.zeroPoint())
                        .with("signed", signed ? 1 : 0));
        values.put(node.output(), codes);
    }

    private static boolean isByte(ConstantTensor tensor) {
        return tensor.type() == ElementType.INT8 || tensor.type() == ElementType.UINT8;
    }

    private static long code(ConstantTensor zeroPoint) {
        return (long) zeroPoint.toFloats()[0];
    }

    private void dequantize(OnnxNode node, @Nullable Codes read) {
        ConstantTensor scale = graph.constant(node.input(1));
        ConstantTensor zero = graph.constant(node.input(2));
        if (scale == null || (zero == null && !node.input(2).isEmpty())) {
            return;
        }
        if (read != null && scale.elements() == 1) {
            String floats = floats(read, scale.toFloats()[0], zero == null ? 0 : code(zero));
            graph.replace(node, OnnxNode.of("Identity", List.of(floats), node.output()));
            return;
        }
        ConstantTensor codes = graph.constant(node.input(0));
        boolean symmetric = zero == null || isZero(zero);
        if (codes != null && symmetric) {
            int axis = scale.elements() == 1 ? -1 : axis(node, codes.shape().size());
            var held = new HeldIntegers(node.input(0), codes, scale.toFloats(), axis);
            graph.replace(node, OnnxNode.of("Identity", List.of(constant(held)), node.output()));
        }
    }

    private static int axis(OnnxNode node, int rank) {
        return Math.floorMod((int) node.integer("axis", 1), rank);
    }

    private static boolean isZero(ConstantTensor tensor) {
        for (float value : tensor.toFloats()) {
            if (value != 0) {
                return false;
            }
        }
        return true;
    }

    /** Adds the floats that held integers stand for. */
    private String constant(HeldIntegers held) {
        String name = graph.addConstant(held.name() + "_floats", held.floats());
        weights.put(name, held);
        return name;
    }

    /** The name of what integers stand for by another scale. */
    private String floats(Codes codes, float scale, long zeroPoint) {
        if (scale == codes.scale() && zeroPoint == codes.zeroPoint()) {
            return codes.floats();
        }
        String scaled = times(codes.floats(), (double) scale / codes.scale());
        double shift = (double) (codes.zeroPoint() - zeroPoint) * scale;
        return shift == 0 ? scaled : with("Add", scaled, shift);
    }

    private String times(String floats, double factor) {
        return factor == 1 ? floats : with("Mul", floats, factor);
    }

    /** The name of floats added to a number or multiplied by it. */
    private String with(String operator, String floats, double number) {
        String by = graph.addConstant(floats + "_by", ConstantTensor.scalar((float) number));
        String result = graph.freshName(floats + "_" + operator);
        graph.add(OnnxNode.of(operator, List.of(floats, by), result));
        return result;
    }

    /** {@code MatMulIntegerToFloat(x, w, x_scale, w_scales, x_zero, w_zero, bias)}. */
    private void product(OnnxNode node, Codes read) {
        ConstantTensor codes = graph.constant(node.input(1));
        ConstantTensor scale = graph.constant(node.input(2));
        ConstantTensor scales = graph.constant(node.input(3));
        ConstantTensor zero = graph.constant(node.input(4));
        if (codes == null
                || scale == null
                || scales == null
                || zero == null
                || !node.input(5).isEmpty()) {
            throw new EspalierException(
                    "The node '%s' has a weight that can't be trained; keep it in floats."
                            .formatted(node.name()));
        }
        var held =
                new HeldIntegers(
                        node.input(1), codes, scales.toFloats(), scales.elements() == 1 ? -1 : 1);
        String x = floats(read, scale.toFloats()[0], code(zero));
        String weight = constant(held);
        String bias = node.input(6);
        String product =
                bias.isEmpty() ? node.output() : graph.freshName(node.output() + "_product");
        var nodes = new ArrayList<OnnxNode>();
        nodes.add(OnnxNode.of("MatMul", List.of(x, weight), product));
        if (!bias.isEmpty()) {
            nodes.add(OnnxNode.of("Add", List.of(product, bias), node.output()));
        }
        graph.replace(node, nodes.toArray(OnnxNode[]::new));
    }
}
