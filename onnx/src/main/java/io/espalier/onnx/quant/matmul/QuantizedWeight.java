package io.espalier.onnx.quant.matmul;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.quant.observer.MinMaxObserver;
import io.espalier.quant.observer.ObserverSettings;
import io.espalier.quant.observer.PerChannelMinMaxObserver;
import io.espalier.quant.observer.Qscheme;
import io.espalier.quant.observer.QuantizationParameters;
import io.espalier.quant.observer.QuantizedType;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;

import java.lang.foreign.ValueLayout;
import java.util.List;

/**
 * A matrix in signed integers, symmetric about zero, with a scale for each column or for all.
 *
 * @param integers [K, N]
 * @param scales [N], or without dimensions
 */
record QuantizedWeight(ConstantTensor integers, ConstantTensor scales) {
    /** −128 is left out, so that the range is symmetric. */
    private static final int LARGEST = 127;

    /** Of 7 bits. */
    private static final int LARGEST_REDUCED = 63;

    /** The matrix [K, N] in integers. */
    static QuantizedWeight of(Tensor weight, MatMulSettings settings) {
        try (var scope = new PointerScope()) {
            QuantizationParameters parameters = parameters(weight, settings);
            Tensor integers = parameters.quantize(weight).contiguous();
            long[] shape = Tensors.shape(weight);
            float[] scales = parameters.scales();
            return new QuantizedWeight(
                    ConstantTensor.bytes(
                            ElementType.INT8,
                            List.of(shape[0], shape[1]),
                            Tensors.segment(integers).toArray(ValueLayout.JAVA_BYTE)),
                    settings.perTensor()
                            ? ConstantTensor.scalar(scales[0])
                            : ConstantTensor.floats(List.of(shape[1]), scales));
        }
    }

    /** How a matrix maps to integers. */
    static QuantizationParameters parameters(Tensor weight, MatMulSettings settings) {
        int largest = settings.reduceRange() ? LARGEST_REDUCED : LARGEST;
        ObserverSettings kind =
                settings.perTensor()
                        ? MinMaxObserver.with().qscheme(Qscheme.PER_TENSOR_SYMMETRIC)
                        : PerChannelMinMaxObserver.with()
                                .qscheme(Qscheme.PER_CHANNEL_SYMMETRIC)
                                .channelAxis(1);
        var observer =
                kind.dtype(QuantizedType.QINT8)
                        .quantRange(-largest, largest)
                        .eps(Float.MIN_NORMAL)
                        .make();
        observer.call(weight);
        return observer.quantizationParameters();
    }

    /** A zero for each scale, for operators that ask for one. */
    ConstantTensor zeros() {
        byte[] zeros = new byte[Math.toIntExact(scales.elements())];
        return ConstantTensor.bytes(ElementType.INT8, scales.shape(), zeros);
    }
}
