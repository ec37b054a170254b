package io.espalier.onnx.export;

import io.espalier.nn.EmbeddingBag;
import io.espalier.nn.EmbeddingBag.Mode;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;

import java.util.List;

/**
 * Writes sums, means and maxima of bags of vectors. Bags that are given by offsets are told apart
 * by a matrix [N, M] of which index lies in which bag.
 */
final class BagWriter {
    private final LayerCall call;
    private final Draft draft;
    private final EmbeddingBag.Options options;
    private final Tables.Lookup table;

    BagWriter(LayerCall call, EmbeddingBag.Options options, Tables.Lookup table) {
        this.call = call;
        this.draft = call.draft();
        this.options = options;
        this.table = table;
    }

    String write() {
        boolean rows = call.seen().rank() == 2;
        String weights = call.names().size() > (rows ? 1 : 2) ? call.names().getLast() : "";
        return rows ? ofRows(weights) : ofOffsets(weights);
    }

    private String zero() {
        return draft.number(ElementType.FLOAT, 0);
    }

    private String one() {
        return draft.number(ElementType.FLOAT, 1);
    }

    private String floats(String value) {
        return Casts.cast(draft, ElementType.FLOAT, value);
    }

    /** 1 for each index that counts, 0 for padding; empty if all count. */
    private String counts() {
        if (options.paddingIndex().isEmpty()) {
            return "";
        }
        String padding = draft.number(call.seen().type(), options.paddingIndex().getAsLong());
        return floats(draft.node("Not", draft.node("Equal", call.x(), padding)));
    }

    private String product(String a, String b) {
        return a.isEmpty() ? b : b.isEmpty() ? a : draft.node("Mul", a, b);
    }

    private String sum(String value, long axis) {
        return Reductions.reduce(draft, "ReduceSum", value, List.of(axis), false);
    }

    /** Each row of [N, L] is a bag. */
    private String ofRows(String weights) {
        String vectors = table.vectors(call.x(), 2);
        String counts = counts();
        if (options.mode() == Mode.MAX) {
            return largest(vectors, counts);
        }
        String factors = product(weights, counts);
        String weighted =
                factors.isEmpty()
                        ? vectors
                        : draft.node(
                                "Mul", vectors, draft.node("Unsqueeze", factors, draft.longs(2)));
        if (options.mode() == Mode.SUM) {
            return sum(weighted, 1);
        }
        return counts.isEmpty()
                ? Reductions.reduce(draft, "ReduceMean", weighted, List.of(1L), false)
                : mean(sum(weighted, 1), sum(counts, 1));
    }

    private String mean(String sums, String numbers) {
        String least = draft.node("Max", numbers, one());
        return draft.node("Div", sums, draft.node("Unsqueeze", least, draft.longs(1)));
    }

    /**
     * The largest elements of bags; of empty ones zeros.
     *
     * @param vectors [N, L, size], or [1, L, size] for all bags
     * @param counts [N, L]: 0 for what is left out; empty for nothing
     */
    private String largest(String vectors, String counts) {
        if (counts.isEmpty()) {
            return Reductions.reduce(draft, "ReduceMax", vectors, List.of(1L), false);
        }
        String kept = Casts.cast(draft, ElementType.BOOL, counts);
        String candidates =
                draft.node(
                        "Where",
                        draft.node("Unsqueeze", kept, draft.longs(2)),
                        vectors,
                        draft.number(ElementType.FLOAT, Double.NEGATIVE_INFINITY));
        String most = Reductions.reduce(draft, "ReduceMax", candidates, List.of(1L), false);
        String any =
                draft.node(
                        "Greater",
                        Reductions.reduce(draft, "ReduceSum", counts, List.of(1L), true),
                        zero());
        return draft.node("Where", any, most, zero());
    }

    /** Indices [M] of bags that begin at offsets. */
    private String ofOffsets(String weights) {
        String vectors = table.vectors(call.x(), 1);
        String member = members();
        String counts = counts();
        if (options.mode() == Mode.MAX) {
            return largest(
                    draft.node("Unsqueeze", vectors, draft.longs(0)), product(member, counts));
        }
        String factors = product(member, product(weights, counts));
        String sums = draft.node("MatMul", factors, vectors);
        return options.mode() == Mode.SUM ? sums : mean(sums, sum(product(member, counts), 1));
    }

    /** [N, M]: 1 where an index lies in a bag, else 0. */
    private String members() {
        String offsets =
                Casts.to(
                        draft, ElementType.INT64, call.inputs().get(1).type(), call.names().get(1));
        String all = draft.node("Shape", call.x());
        String first = draft.longs(0);
        String later =
                draft.node("Slice", offsets, draft.longs(1), draft.longs(Long.MAX_VALUE), first);
        String starts = offsets;
        String ends = later;
        if (options.includeLastOffset()) {
            starts = draft.node("Slice", offsets, first, draft.longs(-1), first);
        } else {
            ends = draft.node("Concat", node -> node.with("axis", 0), later, all);
        }
        String zero = draft.constant("zero", ConstantTensor.longs(List.of(), 0));
        String step = draft.constant("one", ConstantTensor.longs(List.of(), 1));
        String places = draft.node("Range", zero, draft.node("Squeeze", all, first), step);
        String column = draft.longs(1);
        String since =
                draft.node("GreaterOrEqual", places, draft.node("Unsqueeze", starts, column));
        String before = draft.node("Less", places, draft.node("Unsqueeze", ends, column));
        return floats(draft.node("And", since, before));
    }
}
