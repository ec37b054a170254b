package io.espalier.onnx.shape;

import java.util.List;

/** Recurrent networks. */
final class RecurrentRules {
    private RecurrentRules() {}

    static void addTo(Rules rules) {
        rules.standard(RecurrentRules::recurrent, "LSTM GRU RNN");
        rules.microsoft(RecurrentRules::recurrent, "DynamicQuantizeLSTM");
    }

    /** All states [time, directions, batch, hidden], then the last ones; batch first if asked. */
    private static void recurrent(Call call) {
        for (int i = 0; i < call.results(); i++) {
            call.give(i, call.type(0));
        }
        boolean batchFirst = call.node.integer("layout", 0) != 0;
        Extent time = call.extent(0, batchFirst ? 1 : 0);
        Extent batch = call.extent(0, batchFirst ? 0 : 1);
        Extent directions =
                Extent.of(call.node.text("direction", "forward").equals("bidirectional") ? 2 : 1);
        Extent hidden =
                call.node.has("hidden_size")
                        ? Extent.of(call.node.integer("hidden_size", 0))
                        : call.extent(2, -1);
        call.give(
                0,
                batchFirst
                        ? List.of(batch, time, directions, hidden)
                        : List.of(time, directions, batch, hidden));
        List<Extent> last =
                batchFirst
                        ? List.of(batch, directions, hidden)
                        : List.of(directions, batch, hidden);
        call.give(1, last);
        call.give(2, last);
    }
}
