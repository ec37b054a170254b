package io.espalier.onnx.shape;

import io.espalier.onnx.model.ElementType;

import java.util.List;

/** Between real numbers and integers, and what is computed element by element in integers. */
final class QuantizationRules {
    private QuantizationRules() {}

    static void addTo(Rules rules) {
        rules.standard(QuantizationRules::quantize, "QuantizeLinear")
                .standard(QuantizationRules::dequantize, "DequantizeLinear")
                .standard(QuantizationRules::dynamic, "DynamicQuantizeLinear");
        rules.own(ElementwiseRules::same, "FakeQuantize");
        rules.microsoft(QuantizationRules::quantize, "QuantizeLinear")
                .microsoft(QuantizationRules::dequantize, "DequantizeLinear")
                .microsoft(ElementwiseRules::same, "QLinearLeakyRelu QLinearSigmoid QLinearSoftmax")
                .microsoft(QuantizationRules::binary, "QLinearAdd QLinearMul")
                .microsoft(QuantizationRules::where, "QLinearWhere");
    }

    private static void quantize(Call call) {
        long code = call.node.integer("output_dtype", 0);
        call.give(
                0,
                call.has(2)
                        ? call.type(2)
                        : code == 0 ? ElementType.UINT8 : ElementType.of(Math.toIntExact(code)));
        call.give(0, call.shape(0));
    }

    private static void dequantize(Call call) {
        call.give(0, call.type(1));
        call.give(0, call.shape(0));
    }

    private static void dynamic(Call call) {
        call.give(1, ElementType.FLOAT, List.of());
        call.give(2, ElementType.UINT8, List.of());
        call.give(0, ElementType.UINT8);
        call.give(0, call.shape(0));
    }

    private static void binary(Call call) {
        call.give(0, ElementwiseRules.firstType(call, 0, 3));
        call.give(0, Broadcasting.of(call, 0, 3));
    }

    private static void where(Call call) {
        call.give(0, ElementwiseRules.firstType(call, 1, 4));
        call.give(0, Broadcasting.of(call, 0, 1, 4));
    }
}
