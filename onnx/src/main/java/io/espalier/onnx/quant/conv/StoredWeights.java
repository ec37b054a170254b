package io.espalier.onnx.quant.conv;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxNode;

import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Weights of float operators kept as signed bytes with a scale for each output channel. The runtime
 * makes floats of them when it loads the model, so they cost no time.
 */
final class StoredWeights {
    /** Smaller weights are not worth two nodes. */
    private static final long FROM = 1024;

    private final RegionWriter writer;
    private final Map<String, String> stored = new HashMap<>();

    StoredWeights(RegionWriter writer) {
        this.writer = writer;
    }

    /**
     * Whether a node's weight, at a place of its inputs, can be kept so; the channels' axis or −1.
     */
    static int axis(OnnxNode node, ConstantTensor weight) {
        if (weight.type() != ElementType.FLOAT
                || weight.elements() < FROM
                || weight.shape().size() < 2) {
            return -1;
        }
        int last = weight.shape().size() - 1;
        return switch (node.op()) {
            case "Conv" -> 0;
            case "MatMul" -> last;
            case "Gemm" -> node.integer("transB", 0) == 1 ? 0 : last;
            case "LSTM", "GRU", "RNN" -> 1;
            case "ConvTranspose" -> node.integer("group", 1) == 1 ? 1 : -1;
            default -> -1;
        };
    }

    /** The node reading its weights from bytes, or itself if that can't be. */
    OnnxNode store(OnnxNode node, WeightRounding rounding) {
        if (!node.domain().isEmpty()) {
            return node;
        }
        OnnxNode stored = store(node, 1, rounding);
        // Recurrent layers have a second one, for their own results.
        return node.inputs().size() > 2 && !node.input(2).isEmpty() && isRecurrent(node)
                ? store(stored, 2, rounding)
                : stored;
    }

    private static boolean isRecurrent(OnnxNode node) {
        return node.is("LSTM") || node.is("GRU") || node.is("RNN");
    }

    private OnnxNode store(OnnxNode node, int place, WeightRounding rounding) {
        if (node.inputs().size() <= place) {
            return node;
        }
        String name = node.input(place);
        ConstantTensor weight = writer.source().constant(name);
        int axis = weight == null ? -1 : axis(node, weight);
        if (weight == null || axis < 0) {
            return node;
        }
        String known = stored.get(name + "/" + axis);
        if (known == null) {
            known = write(name, rounding.rounded(axis, weight), axis);
            stored.put(name + "/" + axis, known);
        }
        return node.withInput(place, known);
    }

    /** Writes codes and scales, and gives the name of their product. */
    String write(String name, RoundedWeight rounded, int axis) {
        String codes = writer.constant(name + "_codes", rounded.codesTensor());
        String cast = writer.freshName(name + "_cast");
        writer.emit(OnnxNode.of("Cast", List.of(codes), cast).with("to", ElementType.FLOAT.code()));
        var shape = new ArrayList<>(Collections.nCopies(rounded.shape().size(), 1L));
        shape.set(axis, (long) rounded.scales().length);
        String scales = writer.constant(name + "_scales", rounded.scalesTensor(shape));
        String product = writer.freshName(name + "_rounded");
        writer.emit(OnnxNode.of("Mul", List.of(cast, scales), product));
        return product;
    }
}
