package io.espalier.onnx.shape;

import io.espalier.onnx.model.ElementType;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.List;

/** Attention in one operator. */
final class AttentionRules {
    private AttentionRules() {}

    static void addTo(Rules rules) {
        rules.standard(AttentionRules::standard, "Attention")
                .standard(ElementwiseRules::same, "RotaryEmbedding");
        rules.microsoft(call -> joined(call, call.type(0)), "Attention")
                .microsoft(call -> joined(call, call.type(3)), "QAttention")
                .microsoft(AttentionRules::multiHead, "MultiHeadAttention")
                .microsoft(AttentionRules::groupQuery, "GroupQueryAttention")
                .microsoft(ElementwiseRules::same, "RotaryEmbedding");
    }

    /** Queries, keys and values with heads apart in four dimensions or side by side in three. */
    private static void standard(Call call) {
        for (int i = 0; i < call.results(); i++) {
            call.give(i, call.type(i == 2 ? 2 : 0));
        }
        List<Extent> query = call.shape(0);
        List<Extent> value = call.shape(2);
        if (query.size() == 4 && value.size() == 4) {
            call.give(0, List.of(query.get(0), query.get(1), query.get(2), value.get(3)));
        } else if (query.size() == 3 && value.size() == 3) {
            Extent headSize = value.get(2).over(call.node.integer("kv_num_heads", 0));
            call.give(
                    0,
                    List.of(
                            query.get(0),
                            query.get(1),
                            headSize.times(call.node.integer("q_num_heads", 0))));
        }
    }

    /** One weight makes queries, keys and values. */
    private static void joined(Call call, @Nullable ElementType type) {
        call.give(0, type);
        call.give(1, type);
        List<Long> sizes = call.node.integers("qkv_hidden_sizes");
        var shape = new ArrayList<>(call.shape(0).subList(0, Call.axis(-1, call.rank(0))));
        shape.add(sizes.size() == 3 ? Extent.of(sizes.get(2)) : call.extent(1, -1).over(3));
        call.give(0, shape);
    }

    private static void multiHead(Call call) {
        for (int i = 0; i < call.results(); i++) {
            call.give(i, call.type(0));
        }
        List<Extent> query = call.shape(0);
        if (query.size() == 5) {
            call.give(0, List.of(query.get(0), query.get(1), query.get(2).times(query.get(4))));
            return;
        }
        List<Extent> value = call.has(2) ? call.shape(2) : query;
        Extent hidden = value.size() == 4 ? value.get(1).times(value.get(3)) : value.getLast();
        call.give(0, List.of(query.get(0), query.get(1), hidden));
    }

    private static void groupQuery(Call call) {
        for (int i = 0; i < call.results(); i++) {
            call.give(i, call.type(0));
        }
        if (call.has(1)) {
            call.give(0, call.shape(0));
        }
    }
}
