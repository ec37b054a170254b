package io.espalier.onnx.slim;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/** Biases for convolutions that have none, so that one can be solved for. */
final class ConvolutionBiases {
    private ConvolutionBiases() {}

    /** The model with a bias of zeros at each convolution that had none. */
    static OnnxModel added(OnnxModel model) {
        return model.rewritten(graph -> {
            for (OnnxNode node : List.copyOf(graph.nodes())) {
                ConstantTensor weight =
                        node.is("Conv") && node.input(2).isEmpty()
                                ? graph.constant(node.input(1))
                                : null;
                if (weight != null && weight.type().isFloating()) {
                    add(graph, node, weight.type(), weight.shape().getFirst());
                }
            }
        });
    }

    private static void add(OnnxGraph graph, OnnxNode node, ElementType type, long outputs) {
        var bytes = new byte[Math.toIntExact(type.bytes(outputs))];
        var zeros = ConstantTensor.of(type, List.of(outputs), MemorySegment.ofArray(bytes));
        List<String> inputs = new ArrayList<>(node.inputs().subList(0, 2));
        inputs.add(graph.addConstant(node.input(1) + ".bias", zeros));
        graph.replace(node, node.withInputs(inputs));
    }

    /** The model without those biases that are still zeros. */
    static OnnxModel withoutZeros(OnnxModel model) {
        return model.rewritten(graph -> {
            for (OnnxNode node : List.copyOf(graph.nodes())) {
                ConstantTensor bias = node.is("Conv") ? graph.constant(node.input(2)) : null;
                if (bias != null && isZero(bias)) {
                    graph.replace(node, node.withInputs(node.inputs().subList(0, 2)));
                }
            }
            graph.removeUnused();
        });
    }

    private static boolean isZero(ConstantTensor bias) {
        for (float value : bias.toFloats()) {
            if (value != 0) {
                return false;
            }
        }
        return bias.type().isFloating();
    }
}
