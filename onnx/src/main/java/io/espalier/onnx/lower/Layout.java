package io.espalier.onnx.lower;

import io.espalier.graph.GraphOperator;
import io.espalier.graph.Value;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * Where channels are: operators of the runtime's own may have them in the last dimension. Moving
 * them copies nothing.
 */
final class Layout {
    private Layout() {}

    static boolean isChannelsLast(Call call) {
        return call.node.integer("channels_last", 0) != 0 || call.node.op().startsWith("Nhwc");
    }

    /** [N, …, C] as [N, C, …]. */
    static Value channelsFirst(Call call, Value x, int rank) {
        List<Long> dims = new ArrayList<>(List.of(0L, rank - 1L));
        dims.addAll(Call.range(1, rank - 1));
        return call.apply(GraphOperator.PERMUTE, Map.of("dims", dims), x);
    }

    /** [N, C, …] as [N, …, C]. */
    static Value channelsLast(Call call, Value x, int rank) {
        List<Long> dims = new ArrayList<>(List.of(0L));
        dims.addAll(Call.range(2, rank));
        dims.add(1L);
        return call.apply(GraphOperator.PERMUTE, Map.of("dims", dims), x);
    }
}
