package io.espalier.onnx.quant.matmul;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.tensor.EspalierException;

import org.jspecify.annotations.Nullable;

import java.util.List;
import java.util.Optional;

/**
 * Where a constant vector is the last thing that is added to each channel of a value: the bias of a
 * LayerNormalization or a Gemm, or an Add. Changing it shifts the value's channels.
 *
 * @param node what gives the value
 * @param place the vector's place among its inputs
 */
record ChannelOffset(OnnxNode node, int place) {
    /** The offset of a value with so many channels along its last dimension, if it has one. */
    static Optional<ChannelOffset> of(OnnxGraph graph, String value, int channels) {
        OnnxNode node = graph.producer(value);
        if (node == null) {
            return Optional.empty();
        }
        if (node.is("LayerNormalization") && node.output().equals(value)) {
            return at(graph, node, 2, channels);
        }
        if (node.is("Gemm") && node.number("beta", 1) == 1) {
            return at(graph, node, 2, channels);
        }
        if (node.is("Add")) {
            return at(graph, node, 1, channels).or(() -> at(graph, node, 0, channels));
        }
        return Optional.empty();
    }

    private static Optional<ChannelOffset> at(
            OnnxGraph graph, OnnxNode node, int place, int channels) {
        ConstantTensor vector = vector(graph, node, place);
        return vector != null && channels > 1 && MatMulSite.isVector(vector, channels)
                ? Optional.of(new ChannelOffset(node, place))
                : Optional.empty();
    }

    private static @Nullable ConstantTensor vector(OnnxGraph graph, OnnxNode node, int place) {
        return node.input(place).isEmpty() ? null : graph.constant(node.input(place));
    }

    /** Adds to the vector, in a constant of this node's own. */
    void add(OnnxGraph graph, float[] shift, int sign) {
        // An earlier change may have put another node in the place of this one.
        OnnxNode now = graph.producer(node.output());
        ConstantTensor vector = now == null ? null : vector(graph, now, place);
        if (now == null || vector == null) {
            throw new EspalierException("The offset of '" + node.output() + "' is gone.");
        }
        float[] values = vector.toFloats();
        for (int c = 0; c < values.length; c++) {
            values[c] += sign * shift[c];
        }
        List<Long> shape = vector.shape();
        String name =
                graph.addConstant(
                        node.input(place) + "_shifted", ConstantTensor.floats(shape, values));
        graph.replace(now, now.withInput(place, name));
    }
}
