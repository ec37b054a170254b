package io.espalier.onnx.slim;

import io.espalier.slim.Axis;
import io.espalier.slim.ChannelRules;

import java.util.List;

/** Products of matrices, of which one may be constant: the inner dimension ends in a sum. */
final class ProductRules {
    private ProductRules() {}

    static void addTo(Rules rules) {
        rules.standard(ChannelRules::product, "MatMul")
                .standard(ProductRules::general, "Gemm")
                .standard(
                        call -> ChannelRules.einsum(call, call.node.text("equation", "")),
                        "Einsum");
    }

    private static void general(Call call) {
        int a = call.node.integer("transA", 0) == 0 ? 1 : 0;
        int b = call.node.integer("transB", 0) == 0 ? 0 : 1;
        call.unite(call.axis(0, a), call.axis(1, b));
        call.ends(End.of(call.node, 0, a, 1, b));
        List<Axis> result = List.of(call.axis(0, 1 - a), call.axis(1, 1 - b));
        if (call.has(2)) {
            long[] extents = call.resultExtents(0);
            List<Axis> summed = ChannelRules.broadcast(call, List.of(2), extents);
            for (int d = 0; d < 2; d++) {
                int own = d - 2 + call.rank(2);
                if (own >= 0 && call.extent(2, own) == extents[d]) {
                    call.unite(result.get(d), summed.get(d));
                }
            }
        }
        call.give(0, result);
    }
}
