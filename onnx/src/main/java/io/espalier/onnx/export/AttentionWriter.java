package io.espalier.onnx.export;

import io.espalier.nn.Module;
import io.espalier.nn.MultiheadAttention;
import io.espalier.onnx.model.ElementType;

import java.util.ArrayList;
import java.util.List;

/** Writes an attention with several heads as products and a softmax. */
final class AttentionWriter {
    private final LayerCall call;
    private final Draft draft;
    private final MultiheadAttention layer;
    private final boolean batched;
    private final long width;

    AttentionWriter(LayerCall call, MultiheadAttention layer) {
        this.call = call;
        this.draft = call.draft();
        this.layer = layer;
        this.batched = call.seen().rank() == 3;
        this.width = layer.numHeads() * layer.headSize();
    }

    List<String> write() {
        List<String> parts = projected();
        String query =
                draft.node(
                        "Mul",
                        parts.getFirst(),
                        draft.number(ElementType.FLOAT, 1 / Math.sqrt(layer.headSize())));
        String keys = turned(parts.get(1), List.of(0L, 1L, 3L, 2L));
        String scores = masked(draft.node("MatMul", query, keys));
        String weights = draft.node("Softmax", node -> node.with("axis", -1), scores);
        String result = draft.node("MatMul", weights, parts.getLast());
        String joined =
                draft.node(
                        "Reshape",
                        turned(result, List.of(0L, 2L, 1L, 3L)),
                        draft.longs(0, 0, width));
        String arranged = batched ? arranged(joined) : squeezed(joined);
        List<String> outputs = new ArrayList<>();
        outputs.add(outProjection(arranged));
        if (layer.options().needWeights()) {
            String mean = Reductions.reduce(draft, "ReduceMean", weights, List.of(1L), false);
            outputs.add(batched ? mean : squeezed(mean));
        }
        return outputs;
    }

    private String turned(String x, List<Long> order) {
        return draft.node("Transpose", node -> node.with("perm", order), x);
    }

    private String squeezed(String x) {
        return draft.node("Squeeze", x, draft.longs(0));
    }

    /** From the caller's order of the first two dimensions to the batch first, and back. */
    private String arranged(String x) {
        return layer.options().batchFirst() ? x : turned(x, List.of(1L, 0L, 2L));
    }

    /** Query, key and value as [N, heads, length, size of a head]. */
    private List<String> projected() {
        ModuleState state = call.state();
        String weight = state.tensor("in_proj_weight");
        String bias = state.optional("in_proj_bias");
        List<String> given = call.names();
        boolean self =
                given.size() == 1
                        || (given.get(0).equals(given.get(1)) && given.get(0).equals(given.get(2)));
        List<String> parts = new ArrayList<>();
        if (self) {
            String all = Products.linear(draft, batch(given.getFirst()), 3, weight, bias);
            parts.addAll(thirds(all, 2));
        } else {
            List<String> weights = thirds(weight, 0);
            List<String> biases = bias.isEmpty() ? List.of("", "", "") : thirds(bias, 0);
            for (int i = 0; i < 3; i++) {
                parts.add(
                        Products.linear(
                                draft, batch(given.get(i)), 3, weights.get(i), biases.get(i)));
            }
        }
        parts.replaceAll(part ->
                turned(
                        draft.node(
                                "Reshape",
                                part,
                                draft.longs(0, 0, layer.numHeads(), layer.headSize())),
                        List.of(0L, 2L, 1L, 3L)));
        return parts;
    }

    private List<String> thirds(String x, long axis) {
        return draft.nodes(
                "Split", 3, node -> node.with("axis", axis), x, draft.longs(width, width, width));
    }

    private String batch(String x) {
        return batched ? arranged(x) : draft.node("Unsqueeze", x, draft.longs(0));
    }

    private String masked(String scores) {
        String masked = scores;
        if (call.names().size() > 3) {
            String leftOut = additive(3);
            masked =
                    draft.node(
                            "Add",
                            masked,
                            call.inputs().get(3).rank() == 2
                                    ? draft.node("Unsqueeze", leftOut, draft.longs(1, 2))
                                    : draft.node("Reshape", leftOut, draft.longs(1, 1, 1, -1)));
        }
        if (call.names().size() > 4) {
            masked = draft.node("Add", masked, byPair(additive(4)));
        }
        return masked;
    }

    /** A mask [N · heads, L, S] as [N, heads, L, S]. */
    private String byPair(String mask) {
        if (call.inputs().get(4).rank() != 3) {
            return mask;
        }
        String rest = draft.node("Shape", node -> node.with("start", 1), mask);
        String shape =
                draft.node(
                        "Concat",
                        node -> node.with("axis", 0),
                        draft.longs(-1, layer.numHeads()),
                        rest);
        return draft.node("Reshape", mask, shape);
    }

    private String additive(int place) {
        String mask = call.names().get(place);
        return call.inputs().get(place).type() == ElementType.BOOL
                ? draft.node(
                        "Where",
                        mask,
                        draft.number(ElementType.FLOAT, Double.NEGATIVE_INFINITY),
                        draft.number(ElementType.FLOAT, 0))
                : mask;
    }

    /** The last linear map, which may have been quantized by itself. */
    private String outProjection(String x) {
        Module projection = layer.module("out_proj").current();
        List<Long> shape = new ArrayList<>(call.seen().shape());
        shape.set(shape.size() - 1, width);
        var inner =
                new LayerCall(
                        draft,
                        call.prefix() + "out_proj",
                        projection,
                        List.of(x),
                        List.of(new Seen(ElementType.FLOAT, shape, null)),
                        List.of(),
                        List.of());
        return IntegerLayers.roundedResult(draft, projection, LayerTable.write(inner).getFirst());
    }
}
