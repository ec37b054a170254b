package io.espalier.onnx.quant.matmul;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxNode;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.List;

/**
 * Channels multiplied at no cost by the LayerNormalization that gives them, where the products that
 * make up for it are all that reads them: so it is in models that normalize before each block.
 */
final class ChannelGain {
    private ChannelGain() {}

    /** Whether a normalization could multiply the channels of what a group reads. */
    static boolean isFree(OnnxGraph graph, SiteGroup group) {
        OnnxNode norm = graph.producer(group.input());
        return norm != null
                && norm.is("LayerNormalization")
                && norm.output().equals(group.input())
                && !graph.isOutput(group.input())
                && vector(graph, norm.input(1), group.channels()) != null
                && (norm.input(2).isEmpty()
                        || vector(graph, norm.input(2), group.channels()) != null)
                && graph.readers(group.input()).stream()
                        .allMatch(reader -> isQuantized(group, reader) || reader.is("Shape"));
    }

    private static boolean isQuantized(SiteGroup group, OnnxNode reader) {
        return group.quantizable().stream().anyMatch(site -> site.node() == reader);
    }

    private static @Nullable ConstantTensor vector(OnnxGraph graph, String name, int channels) {
        ConstantTensor constant = graph.constant(name);
        return constant != null && MatMulSite.isVector(constant, channels) ? constant : null;
    }

    /** Multiplies, if that is possible, and says whether it did. */
    static boolean take(OnnxGraph graph, SiteGroup group, float[] by) {
        OnnxNode norm = graph.producer(group.input());
        if (norm == null || !isFree(graph, group)) {
            return false;
        }
        List<String> inputs = new ArrayList<>(norm.inputs());
        for (int place = 1; place < inputs.size(); place++) {
            ConstantTensor vector = vector(graph, inputs.get(place), by.length);
            if (vector != null) {
                inputs.set(place, multiplied(graph, inputs.get(place), vector, by));
            }
        }
        graph.replace(norm, norm.withInputs(inputs));
        return true;
    }

    private static String multiplied(
            OnnxGraph graph, String name, ConstantTensor vector, float[] by) {
        float[] values = vector.toFloats();
        for (int c = 0; c < values.length; c++) {
            values[c] *= by[c];
        }
        return graph.addConstant(name + "_divided", ConstantTensor.floats(vector.shape(), values));
    }
}
