package io.espalier.onnx.lower;

import io.espalier.onnx.model.OnnxNode;
import io.espalier.quant.observer.Qscheme;
import io.espalier.quant.observer.QuantizationParameters;
import io.espalier.quant.observer.QuantizedType;
import io.espalier.quant.qat.FixedQParamsFakeQuantize;

import java.util.Map;

/** What graphs hold while they are trained. */
final class TrainingOperators {
    private TrainingOperators() {}

    static void addTo(Map<String, OperatorLowering> table) {
        table.put(
                Operators.key(OnnxNode.ESPALIER, "FakeQuantize"), TrainingOperators::fakeQuantize);
    }

    /** Rounded to bytes of a scale and a zero point, as floats, with a gradient. */
    private static void fakeQuantize(Call call) {
        boolean signed = call.node.integer("signed", 0) == 1;
        var range =
                new QuantizationParameters(
                        new float[] {call.node.number("scale", 1)},
                        new int[] {Math.toIntExact(call.node.integer("zero_point", 0))},
                        -1,
                        signed ? QuantizedType.QINT8 : QuantizedType.QUINT8,
                        Qscheme.PER_TENSOR_AFFINE,
                        signed ? Byte.MIN_VALUE : 0,
                        signed ? Byte.MAX_VALUE : 255);
        call.give(
                call.call(
                        0,
                        call.node.output(),
                        () -> FixedQParamsFakeQuantize.of(range),
                        call.in(0)));
    }
}
