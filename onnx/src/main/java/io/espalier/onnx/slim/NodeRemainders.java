package io.espalier.onnx.slim;

import io.espalier.onnx.model.OnnxNode;
import io.espalier.slim.ChannelValue;
import io.espalier.slim.Remainders;
import io.espalier.slim.Remainders.Remainder;

import java.util.ArrayList;
import java.util.List;

/** What is left of the work of nodes when groups have other widths. */
final class NodeRemainders {
    private final Analysis analysis;
    private final Remainders left;

    NodeRemainders(Analysis analysis, Remainders left) {
        this.analysis = analysis;
        this.left = left;
    }

    /** What is left of the dimensions of a value from one on, those aside that stay as they are. */
    List<Remainder> of(String value, int from) {
        ChannelValue channels = analysis.values().get(value);
        return channels == null || channels.rank() < from
                ? List.of()
                : left.of(channels.axes().subList(from, channels.rank()));
    }

    /** What is left of one dimension of a value, counted from the last. */
    private List<Remainder> fromLast(String value, int place) {
        ChannelValue channels = analysis.values().get(value);
        return channels == null || channels.rank() < place
                ? List.of()
                : left.of(List.of(channels.axes().get(channels.rank() - place)));
    }

    /** What is left of a node's multiplications. */
    List<Remainder> ofMacs(OnnxNode node) {
        return switch (node.op()) {
            case "Conv" -> joined(of(node.output(), 0), of(node.input(1), 1));
            case "ConvTranspose" -> joined(of(node.input(0), 0), of(node.input(1), 1));
            case "MatMul", "FusedMatMul" ->
                    joined(of(node.output(), 0), fromLast(node.input(0), 1));
            case "Gemm" ->
                    joined(
                            of(node.output(), 0),
                            fromLast(node.input(0), node.integer("transA", 0) == 0 ? 1 : 2));
            case "LSTM", "GRU", "RNN" -> of(node.input(2), 0);
            default -> of(node.output(), 0);
        };
    }

    /** What is left of the elements that a node goes through. */
    List<Remainder> ofElements(OnnxNode node) {
        List<Remainder> given = of(node.input(0), 0);
        List<Remainder> results = of(node.output(), 0);
        return given.size() > results.size() ? given : results;
    }

    private static List<Remainder> joined(List<Remainder> some, List<Remainder> more) {
        List<Remainder> all = new ArrayList<>(some);
        all.addAll(more);
        return all;
    }
}
