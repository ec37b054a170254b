package io.espalier.onnx.slim;

import io.espalier.slim.Axis;
import io.espalier.slim.NotUnderstood;

import java.util.List;

/**
 * Recurrent layers: a hidden unit is a row of each gate's weights in each direction, and a column
 * of those that read the step before.
 */
final class RecurrentRules {
    private RecurrentRules() {}

    static void addTo(Rules rules) {
        rules.standard(RecurrentRules::recurrent, "LSTM GRU RNN");
    }

    /** Operands {@code X, W, R, B, lengths, h, c, P}; directions come first but for X and Y. */
    private static void recurrent(Call call) {
        if (call.node.integer("layout", 0) != 0) {
            throw new NotUnderstood("examples are its first dimension");
        }
        Axis hidden = call.axis(2, 2);
        long size = call.extent(2, 2);
        call.unite(call.axis(0, 2), call.axis(1, 2));
        call.ends(End.of(call.node, 0, 2, 1, 2));
        call.ends(End.of(call.node, 2, 2));
        // Gate after gate, so that the hidden units come again and again.
        call.unite(hidden, call.axis(1, 1));
        call.unite(hidden, call.axis(2, 1));
        for (int place : new int[] {3, 7}) {
            if (call.has(place)) {
                call.unite(hidden, call.axis(place, 1));
            }
        }
        for (int place : new int[] {5, 6}) {
            if (call.has(place)) {
                call.unite(hidden, call.axis(place, 2));
                call.pin(call.axis(place, 0));
                call.unite(call.axis(0, 1), call.axis(place, 1));
            }
        }
        for (int place : new int[] {1, 2, 3, 7}) {
            if (call.has(place)) {
                call.flow().pin(call.axis(place, 0), "");
            }
        }
        call.pin(call.axis(0, 0));
        call.rewrite(
                (node, graph, choice) -> node.with("hidden_size", choice.extent(hidden, size)));
        Axis examples = call.axis(0, 1);
        call.give(0, List.of(Axis.PLAIN, Axis.PLAIN, examples, hidden));
        call.give(1, List.of(Axis.PLAIN, examples, hidden));
        call.give(2, List.of(Axis.PLAIN, examples, hidden));
    }
}
