package io.espalier.tensor;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.QEngine;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.util.List;
import java.util.function.UnaryOperator;

/**
 * What libtorch's own methods do wrongly with its quantized tensors, which carry a scale and a zero
 * point.
 */
@Internal
public final class QuantizedTensors {
    static {
        Libtorch.start();
    }

    /** The steps between the least and the greatest 8-bit integer. */
    private static final int STEPS = 255;

    private QuantizedTensors() {}

    /**
     * Tensors one after another along a dimension. libtorch takes the first's scale for all, which
     * cuts off what the others hold beyond its range. Here quantized tensors of different scales
     * are rounded to the range that holds all of theirs.
     *
     * @param tensors floats, or quantized tensors of one type
     */
    public static Tensor cat(List<Tensor> tensors, long dim) {
        tensors.forEach(Tensors::requireLive);
        return differInScale("aten::cat", tensors)
                ? inOneRange(tensors, dim)
                : torch.cat(vector(tensors), dim);
    }

    /**
     * Tensors of one shape side by side along a new dimension, as {@link #cat}.
     *
     * @param dim where the new dimension is to be; negative ones count from the end
     */
    public static Tensor stack(List<Tensor> tensors, long dim) {
        tensors.forEach(Tensors::requireLive);
        return differInScale("aten::stack", tensors)
                ? inOneRange(tensors.stream().map(tensor -> tensor.unsqueeze(dim)).toList(), dim)
                : torch.stack(vector(tensors), dim);
    }

    /**
     * What a kernel computes that cuts values off: {@code clamp}, {@code relu6}, {@code hardtanh}.
     * qnnpack's, which libtorch takes where that is the current engine, hands a tensor in another
     * layout than the plain one back with its elements in other places; so it gets a plain one.
     */
    public static Tensor bounded(Tensor x, UnaryOperator<Tensor> kernel) {
        return Tensors.requireLive(x).is_quantized()
                ? EngineLock.PROCESS.whileSettled(() -> kernel.apply(forBounds(x)))
                : kernel.apply(x);
    }

    /** A tensor in the layout that a kernel needs which cuts values off. */
    static Tensor forBounds(Tensor x) {
        boolean rearranges =
                x.is_quantized() && torch.globalContext().qEngine().intern() == QEngine.QNNPACK;
        return rearranges ? x.contiguous() : x;
    }

    private static TensorVector vector(List<Tensor> tensors) {
        return new TensorVector(tensors.toArray(Tensor[]::new));
    }

    private static boolean differInScale(String operator, List<Tensor> tensors) {
        long quantized = tensors.stream().filter(Tensor::is_quantized).count();
        if (quantized > 0 && quantized < tensors.size()) {
            throw TensorException.mixed(operator);
        }
        return quantized > 0 && !shareScale(tensors);
    }

    private static boolean shareScale(List<Tensor> tensors) {
        Tensor first = tensors.getFirst();
        return tensors.stream()
                .allMatch(tensor ->
                        Tensors.type(tensor) == Tensors.type(first)
                                && tensor.q_scale() == first.q_scale()
                                && tensor.q_zero_point() == first.q_zero_point());
    }

    private static Tensor inOneRange(List<Tensor> tensors, long dim) {
        ScalarType type = Tensors.type(tensors.getFirst());
        int least = type == ScalarType.QInt8 ? Byte.MIN_VALUE : 0;
        double from = 0;
        double to = 0;
        for (Tensor tensor : tensors) {
            if (Tensors.type(tensor) != type
                    || (type != ScalarType.QUInt8 && type != ScalarType.QInt8)) {
                throw new EspalierException(
                        "Quantized tensors that are joined must be of one 8-bit type; these are "
                                + tensors.stream().map(Tensors::type).toList()
                                + ". Join them in floats: dequantize() each.");
            }
            from = Math.min(from, (least - tensor.q_zero_point()) * tensor.q_scale());
            to = Math.max(to, (least + STEPS - tensor.q_zero_point()) * tensor.q_scale());
        }
        double scale = (to - from) / STEPS;
        long zeroPoint = least + Math.round(-from / scale);
        return Operators.call("quantized::cat", "", tensors, dim, scale, zeroPoint);
    }
}
