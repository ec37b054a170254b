package io.espalier.onnx.quant.matmul;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.quant.observer.QuantizationParameters;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * The operators that compute {@code y = xW + b} in integers. {@code x} is quantized once for all
 * products that read it.
 */
enum IntegerProduct {
    /**
     * Each batch finds its own range; the runtime makes one operator of all that follows, the bias
     * too. Operators of the standard from opset 11 on.
     */
    DYNAMIC {
        @Override
        QuantizedInput input(OnnxGraph graph, String x, Optional<QuantizationParameters> range) {
            var input = QuantizedInput.named(graph, x);
            graph.add(
                    OnnxNode.of(
                            "",
                            "DynamicQuantizeLinear",
                            List.of(x),
                            List.of(input.integers(), input.scale(), input.zeroPoint())));
            return input;
        }

        @Override
        List<OnnxNode> nodes(
                OnnxGraph graph, QuantizedInput x, Weight w, String bias, String output) {
            return integerThenFloat(graph, x, w, bias, output);
        }
    },

    /** One operator of the runtime's own, quantization included, for models of any opset. */
    DYNAMIC_FUSED {
        @Override
        QuantizedInput input(OnnxGraph graph, String x, Optional<QuantizationParameters> range) {
            return new QuantizedInput(x, "", "");
        }

        @Override
        List<OnnxNode> nodes(
                OnnxGraph graph, QuantizedInput x, Weight w, String bias, String output) {
            return List.of(
                    OnnxNode.of(
                            OnnxNode.MICROSOFT,
                            "DynamicQuantizeMatMul",
                            withoutEmptyEnd(x.integers(), w.integers(), w.scales(), "", bias),
                            List.of(output)));
        }
    },

    /** The runtime's operator that takes integers and gives floats. */
    STATIC {
        @Override
        QuantizedInput input(OnnxGraph graph, String x, Optional<QuantizationParameters> range) {
            return quantized(graph, x, range.orElseThrow());
        }

        @Override
        List<OnnxNode> nodes(
                OnnxGraph graph, QuantizedInput x, Weight w, String bias, String output) {
            return List.of(
                    OnnxNode.of(
                            OnnxNode.MICROSOFT,
                            "MatMulIntegerToFloat",
                            withoutEmptyEnd(
                                    x.integers(),
                                    w.integers(),
                                    x.scale(),
                                    w.scales(),
                                    x.zeroPoint(),
                                    "",
                                    bias),
                            List.of(output)));
        }
    },

    /** Integers dequantized before a float product, which a runtime may fuse: opset 13. */
    STATIC_QDQ {
        @Override
        QuantizedInput input(OnnxGraph graph, String x, Optional<QuantizationParameters> range) {
            return quantized(graph, x, range.orElseThrow());
        }

        @Override
        List<OnnxNode> nodes(
                OnnxGraph graph, QuantizedInput x, Weight w, String bias, String output) {
            var nodes = new ArrayList<OnnxNode>();
            String left = graph.freshName(w.integers() + "_left");
            String right = graph.freshName(w.integers() + "_right");
            nodes.add(
                    OnnxNode.of(
                            "DequantizeLinear",
                            List.of(x.integers(), x.scale(), x.zeroPoint()),
                            left));
            nodes.add(
                    OnnxNode.of(
                                    "DequantizeLinear",
                                    List.of(w.integers(), w.scales(), w.zeros(graph)),
                                    right)
                            .with("axis", 1));
            String product = bias.isEmpty() ? output : graph.freshName(w.integers() + "_product");
            nodes.add(OnnxNode.of("MatMul", List.of(left, right), product));
            if (!bias.isEmpty()) {
                nodes.add(OnnxNode.of("Add", List.of(product, bias), output));
            }
            return nodes;
        }
    },

    /** Operators of the standard from opset 10 on, scales constant. */
    STATIC_INTEGER {
        @Override
        QuantizedInput input(OnnxGraph graph, String x, Optional<QuantizationParameters> range) {
            return quantized(graph, x, range.orElseThrow());
        }

        @Override
        List<OnnxNode> nodes(
                OnnxGraph graph, QuantizedInput x, Weight w, String bias, String output) {
            return integerThenFloat(graph, x, w, bias, output);
        }
    };

    private static final long CAST_TO_FLOAT = ElementType.FLOAT.code();

    /**
     * A quantized value: names of its integers, scale and zero point.
     *
     * @param integers of unsigned bytes
     */
    record QuantizedInput(String integers, String scale, String zeroPoint) {
        private static QuantizedInput named(OnnxGraph graph, String x) {
            return new QuantizedInput(
                    graph.freshName(x + "_q"),
                    graph.freshName(x + "_scale"),
                    graph.freshName(x + "_zero"));
        }
    }

    /**
     * A quantized matrix in the graph.
     *
     * @param integers the name of [K, N]
     * @param scales the name of [N], or of a scalar
     * @param values the constants themselves
     */
    record Weight(String integers, String scales, QuantizedWeight values) {
        /** Zero points, which are all zero, for operators that ask for them. */
        String zeros(OnnxGraph graph) {
            return graph.addConstant(integers + "_zeros", values.zeros());
        }
    }

    /** Adds what quantizes a value. */
    abstract QuantizedInput input(
            OnnxGraph graph, String x, Optional<QuantizationParameters> range);

    /**
     * The nodes that give the product as floats.
     *
     * @param bias the name of a vector [N] that is added; empty if none is
     */
    abstract List<OnnxNode> nodes(
            OnnxGraph graph, QuantizedInput x, Weight w, String bias, String output);

    private static QuantizedInput quantized(
            OnnxGraph graph, String x, QuantizationParameters range) {
        String scale = graph.addConstant(x + "_scale", ConstantTensor.scalar(range.scale()));
        String zeroPoint =
                graph.addConstant(
                        x + "_zero",
                        ConstantTensor.bytes(
                                ElementType.UINT8, List.of(), (byte) range.zeroPoint()));
        var input = new QuantizedInput(graph.freshName(x + "_q"), scale, zeroPoint);
        graph.add(OnnxNode.of("QuantizeLinear", List.of(x, scale, zeroPoint), input.integers()));
        return input;
    }

    private static List<OnnxNode> integerThenFloat(
            OnnxGraph graph, QuantizedInput x, Weight w, String bias, String output) {
        var nodes = new ArrayList<OnnxNode>();
        // Named after the matrix, whose name is short; a large model has thousands of names.
        String sums = graph.freshName(w.integers() + "_sums");
        String floats = graph.freshName(w.integers() + "_floats");
        String scales = graph.freshName(w.integers() + "_scales");
        nodes.add(
                OnnxNode.of(
                        "MatMulInteger", List.of(x.integers(), w.integers(), x.zeroPoint()), sums));
        nodes.add(OnnxNode.of("Cast", List.of(sums), floats).with("to", CAST_TO_FLOAT));
        nodes.add(OnnxNode.of("Mul", List.of(x.scale(), w.scales()), scales));
        String product = bias.isEmpty() ? output : graph.freshName(w.integers() + "_product");
        nodes.add(OnnxNode.of("Mul", List.of(floats, scales), product));
        if (!bias.isEmpty()) {
            nodes.add(OnnxNode.of("Add", List.of(product, bias), output));
        }
        return nodes;
    }

    private static List<String> withoutEmptyEnd(String... inputs) {
        int count = inputs.length;
        while (count > 0 && inputs[count - 1].isEmpty()) {
            count--;
        }
        return List.of(inputs).subList(0, count);
    }
}
