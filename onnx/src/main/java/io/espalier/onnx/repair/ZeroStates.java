package io.espalier.onnx.repair;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxNode;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/**
 * Initial states of recurrent layers that are zero, as they are where none is given: exporters
 * compute them from the size of the batch.
 */
final class ZeroStates {
    /** What gives zeros of zeros, whatever else it is told. */
    private static final Set<String> KEEPING =
            Set.of("Expand", "Identity", "Reshape", "Slice", "Squeeze", "Tile", "Transpose");

    /** Longer chains are none. */
    private static final int MOST_STEPS = 16;

    private ZeroStates() {}

    static int remove(Subject subject) {
        OnnxGraph graph = subject.graph();
        int changes = 0;
        for (OnnxNode node : graph.nodes()) {
            if (node.is("LSTM") || node.is("GRU") || node.is("RNN")) {
                List<String> inputs = new ArrayList<>(node.inputs());
                for (int state = 5; state < Math.min(7, inputs.size()); state++) {
                    if (areZeros(graph, inputs.get(state), MOST_STEPS)) {
                        inputs.set(state, "");
                    }
                }
                while (inputs.getLast().isEmpty()) {
                    inputs.removeLast();
                }
                if (!inputs.equals(node.inputs())) {
                    graph.replace(node, node.withInputs(inputs));
                    changes++;
                }
            }
        }
        return changes;
    }

    private static boolean areZeros(OnnxGraph graph, String value, int steps) {
        ConstantTensor constant = graph.constant(value);
        if (constant != null) {
            return areZeros(constant);
        }
        OnnxNode maker = steps == 0 ? null : graph.producer(value);
        if (maker == null) {
            return false;
        }
        if (maker.is("ConstantOfShape")) {
            ConstantTensor filling = maker.tensor("value");
            return filling == null || areZeros(filling);
        }
        return KEEPING.contains(maker.op())
                && maker.domain().isEmpty()
                && areZeros(graph, maker.input(0), steps - 1);
    }

    private static boolean areZeros(ConstantTensor constant) {
        if (!constant.type().isFloating()) {
            return false;
        }
        for (float number : constant.toFloats()) {
            if (number != 0) {
                return false;
            }
        }
        return true;
    }
}
