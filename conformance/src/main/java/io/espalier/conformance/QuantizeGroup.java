package io.espalier.conformance;

import io.espalier.quant.observer.QuantizationParameters;
import io.espalier.quant.observer.QuantizedType;

import org.bytedeco.pytorch.Tensor;

/** Floats to integers and back, with one scale or one per channel. */
final class QuantizeGroup implements Group {
    @Override
    public String name() {
        return "quantize";
    }

    @Override
    public void run(Case reference, Check check) {
        if (!reference.op().equals("per_tensor") && !reference.op().equals("per_channel")) {
            throw Group.unknown("operation", reference.op());
        }
        QuantizedType dtype = Observing.dtype(reference.params());
        QuantizationParameters parameters =
                Observing.parameters(reference, dtype, dtype.min(), dtype.max());
        Tensor integers = parameters.quantize(reference.inputs().tensor("x"));
        Tensor back = parameters.dequantize(integers);

        check.equal("int_repr", reference.expect().tensor("int_repr"), integers);
        check.close(
                "dequantized",
                reference.expect().tensor("dequantized"),
                back,
                Tolerance.within(1e-6));
    }
}
