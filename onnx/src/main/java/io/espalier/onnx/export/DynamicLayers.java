package io.espalier.onnx.export;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;

import java.util.List;

/**
 * Linear layers with a small weight that quantize their input anew in each call: to 8 bits, where
 * libtorch's kernels use 7.
 */
final class DynamicLayers {
    private DynamicLayers() {}

    static List<String> linear(LayerCall call) {
        Draft draft = call.draft();
        ModuleState state = call.state();
        String bias = state.optional("bias");
        if ("FLOAT16".equals(call.attributes().get("dtype"))) {
            String half = draft.state(call.prefix() + "weight", call.module().buffer("weight"));
            String weight = Casts.cast(draft, ElementType.FLOAT, half);
            return List.of(Products.linear(draft, call.x(), call.seen().rank(), weight, bias));
        }
        IntegerWeights weight = IntegerWeights.of(call.prefix(), call.module(), "weight");
        return List.of(
                Batches.around(
                        draft,
                        call.x(),
                        call.seen().rank(),
                        Math.max(2, call.seen().rank()),
                        x -> Products.plus(draft, product(draft, weight, x), bias)));
    }

    private static String product(Draft draft, IntegerWeights weight, String x) {
        List<String> input = draft.nodes("DynamicQuantizeLinear", 3, node -> node, x);
        String name = weight.name();
        ConstantTensor turned = weight.turned();
        String sums =
                draft.node(
                        "MatMulInteger",
                        input.getFirst(),
                        draft.state(name, turned),
                        input.get(2),
                        draft.state(name + "_zero_point", weight.zeroPointConstant()));
        String scale =
                draft.node(
                        "Mul", input.get(1), draft.state(name + "_scale", weight.scaleConstant()));
        return draft.node("Mul", Casts.cast(draft, ElementType.FLOAT, sums), scale);
    }
}
