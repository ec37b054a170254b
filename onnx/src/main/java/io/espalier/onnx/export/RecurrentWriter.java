package io.espalier.onnx.export;

import io.espalier.nn.RecurrentShape;
import io.espalier.nn.RecurrentShape.Kind;
import io.espalier.onnx.model.OnnxNode;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.List;

/**
 * Writes a recurrent network layer by layer: ONNX's operators have one layer, take [L, N, size],
 * and give the outputs of both directions apart.
 */
final class RecurrentWriter {
    private final LayerCall call;
    private final Draft draft;
    private final RecurrentShape shape;
    private final Gates gates;
    private final GateOrder order;
    private final int directions;

    /** Where the weights come from. */
    interface Gates {
        /**
         * A layer's weights in floats.
         *
         * @param kind {@code ih} or {@code hh}
         * @param suffixes the endings of its names, one for each direction
         * @return the value of [directions, gates · hidden, in]
         */
        String matrix(String kind, List<String> suffixes, GateOrder order);

        /** A bias [gates · hidden], if there is one. */
        @Nullable Tensor bias(String kind, String suffix);

        /** What a layer gives, as the next one takes it. */
        default String between(int layer, String value) {
            return value;
        }
    }

    RecurrentWriter(LayerCall call, RecurrentShape shape, Gates gates) {
        this.call = call;
        this.draft = call.draft();
        this.shape = shape;
        this.gates = gates;
        this.order = GateOrder.of(shape.kind());
        this.directions = shape.directions();
    }

    /** Writes all layers over a sequence; gives the outputs, then the last state. */
    List<String> write(String sequence) {
        boolean batched = call.seen().rank() == 3;
        boolean batchFirst = shape.options().batchFirst() && batched;
        String fed = batched ? sequence : draft.node("Unsqueeze", sequence, draft.longs(1));
        fed = batchFirst ? swapped(fed) : fed;
        List<String> first = new ArrayList<>();
        for (String state : call.names().subList(1, call.names().size())) {
            first.add(batched ? state : draft.node("Unsqueeze", state, draft.longs(1)));
        }
        List<List<String>> last = new ArrayList<>();
        int layers = Math.toIntExact(shape.options().layers());
        for (int layer = 0; layer < layers; layer++) {
            List<String> results = layer(layer, fed, first);
            fed = joined(results.getFirst());
            fed = layer < layers - 1 ? gates.between(layer, fed) : fed;
            last.add(results.subList(1, results.size()));
        }
        List<String> outputs = new ArrayList<>();
        outputs.add(batchFirst ? swapped(fed) : fed);
        for (int state = 0; state < shape.kind().states(); state++) {
            int which = state;
            outputs.add(together(last.stream().map(states -> states.get(which)).toList()));
        }
        return batched
                ? outputs
                : outputs.stream()
                        .map(output -> draft.node("Squeeze", output, draft.longs(1)))
                        .toList();
    }

    private String swapped(String sequence) {
        return draft.node("Transpose", node -> node.with("perm", List.of(1L, 0L, 2L)), sequence);
    }

    /** Outputs [L, directions, N, hidden] as [L, N, directions · hidden]. */
    private String joined(String outputs) {
        if (directions == 1) {
            return draft.node("Squeeze", outputs, draft.longs(1));
        }
        String beside =
                draft.node(
                        "Transpose", node -> node.with("perm", List.of(0L, 2L, 1L, 3L)), outputs);
        return draft.node("Reshape", beside, draft.longs(0, 0, directions * shape.hiddenSize()));
    }

    private String together(List<String> parts) {
        return parts.size() == 1
                ? parts.getFirst()
                : draft.node("Concat", node -> node.with("axis", 0), parts.toArray(String[]::new));
    }

    private List<String> layer(int layer, String fed, List<String> first) {
        List<String> suffixes = shape.suffixes(layer);
        List<String> inputs = new ArrayList<>();
        inputs.add(fed);
        for (String kind : List.of("ih", "hh")) {
            inputs.add(gates.matrix(kind, suffixes, order));
        }
        inputs.add(biases(layer, suffixes));
        inputs.add(""); // all sequences are of one length
        first.forEach(state -> inputs.add(part(state, layer)));
        return draft.nodes(
                shape.kind().name(),
                1 + shape.kind().states(),
                this::attributes,
                inputs.toArray(String[]::new));
    }

    private OnnxNode attributes(OnnxNode node) {
        OnnxNode written = node.with("hidden_size", shape.hiddenSize());
        if (directions == 2) {
            written = written.with("direction", "bidirectional");
        }
        // libtorch multiplies the state's product by the reset gate, bias and all.
        return shape.kind() == Kind.GRU ? written.with("linear_before_reset", 1) : written;
    }

    private String part(String state, int layer) {
        long from = (long) layer * directions;
        return shape.options().layers() == 1
                ? state
                : draft.node(
                        "Slice",
                        state,
                        draft.longs(from),
                        draft.longs(from + directions),
                        draft.longs(0));
    }

    /** Both biases of each direction, [directions, 2 · gates · hidden]; empty without any. */
    private String biases(int layer, List<String> suffixes) {
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            List<Tensor> rows = new ArrayList<>();
            for (String suffix : suffixes) {
                for (String kind : List.of("ih", "hh")) {
                    Tensor bias = gates.bias(kind, suffix);
                    if (bias == null) {
                        return "";
                    }
                    rows.add(order.reordered(bias));
                }
            }
            Tensor all =
                    torch.cat(new TensorVector(rows.toArray(Tensor[]::new)), 0)
                            .reshape(directions, -1);
            return draft.state(call.prefix() + "bias_l" + layer, all);
        }
    }
}
