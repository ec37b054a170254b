package io.espalier.onnx.shape;

import io.espalier.onnx.model.ElementType;

import java.util.ArrayList;
import java.util.List;

/** Normalizations. */
final class NormalizationRules {
    private NormalizationRules() {}

    static void addTo(Rules rules) {
        rules.standard(NormalizationRules::batch, "BatchNormalization")
                .standard(
                        ElementwiseRules::same,
                        "InstanceNormalization GroupNormalization LRN LpNormalization"
                                + " MeanVarianceNormalization RMSNormalization")
                .standard(
                        NormalizationRules::layer,
                        "LayerNormalization SimplifiedLayerNormalization");
        rules.microsoft(
                        NormalizationRules::skip,
                        "SkipLayerNormalization SkipSimplifiedLayerNormalization")
                .microsoft(NormalizationRules::embed, "EmbedLayerNormalization")
                .microsoft(ElementwiseRules::same, "GroupNorm LayerNormalization");
    }

    private static void batch(Call call) {
        call.give(0, call.operand(0));
        for (int i = 1; i < call.results(); i++) {
            call.give(i, call.operand(i <= 2 ? i + 2 : i));
        }
    }

    private static void layer(Call call) {
        call.give(0, call.operand(0));
        ElementType mean = ElementType.of(Math.toIntExact(call.node.integer("stash_type", 1)));
        call.give(1, mean);
        call.give(2, mean);
        int axis = call.axis("axis", -1, call.rank(0));
        var shape = new ArrayList<Extent>();
        for (int dim = 0; dim < call.rank(0); dim++) {
            shape.add(dim < axis ? call.shape(0).get(dim) : Extent.ONE);
        }
        call.give(1, shape);
        call.give(2, shape);
    }

    private static void skip(Call call) {
        call.give(0, call.operand(0));
        call.give(1, ElementType.FLOAT);
        call.give(2, ElementType.FLOAT);
        call.give(3, call.operand(0));
    }

    private static void embed(Call call) {
        call.give(0, call.type(2));
        call.give(1, ElementType.INT32);
        call.give(2, call.type(2));
        List<Extent> ids = call.shape(0);
        call.give(1, ids.subList(0, 1));
        var shape = new ArrayList<>(ids);
        shape.add(call.extent(2, -1));
        call.give(0, shape);
        call.give(2, shape);
    }
}
