package io.espalier.quant;

import io.espalier.nn.FloatFunctional;
import io.espalier.quant.QuantizedLayer.Range;
import io.espalier.tensor.Operators;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;

import java.util.List;
import java.util.Map;

/**
 * Arithmetic between quantized tensors, its results quantized with a fixed range: what a {@code
 * FloatFunctional} becomes. Where an operand is float, or there is no int8 kernel, it computes in
 * floats and quantizes the result.
 */
final class QFunctional extends FloatFunctional {
    private double scale;
    private long zeroPoint;

    QFunctional(Range output) {
        addBuffer("scale", Tensors.of(output.scale()));
        addBuffer("zero_point", Tensors.of(new long[] {output.zeroPoint()}, 1));
        stateLoaded();
    }

    static QFunctional read(Map<String, Tensor> tensors) {
        return new QFunctional(QuantizedLayer.output(tensors));
    }

    @Override
    protected void stateLoaded() {
        scale = Tensors.floats(buffer("scale"))[0];
        zeroPoint = Tensors.longs(buffer("zero_point"))[0];
    }

    @Override
    protected Tensor compute(Operation operation) {
        return switch (operation) {
            case Operation.Add(Tensor a, Tensor b) when quantized(a, b) ->
                    Operators.call("quantized::add", "", a, b, scale, zeroPoint);
            case Operation.AddRelu(Tensor a, Tensor b) when quantized(a, b) ->
                    Operators.call("quantized::add_relu", "", a, b, scale, zeroPoint);
            case Operation.Mul(Tensor a, Tensor b) when quantized(a, b) ->
                    Operators.call("quantized::mul", "", a, b, scale, zeroPoint);
            case Operation.Cat(List<Tensor> tensors, long dim)
                    when tensors.stream().allMatch(Tensor::is_quantized) ->
                    Operators.call("quantized::cat", "", tensors, dim, scale, zeroPoint);
            case Operation.AddScalar(Tensor a, double number) when a.is_quantized() ->
                    Operators.call("quantized::add_scalar", "", a, number);
            case Operation.MulScalar(Tensor a, double number) when a.is_quantized() ->
                    Operators.call("quantized::mul_scalar", "", a, number);
            case Operation.AddScalar scalar -> super.compute(scalar);
            case Operation.MulScalar scalar -> super.compute(scalar);
            default -> QuantizedLayer.quantize(super.compute(inFloat(operation)), scale, zeroPoint);
        };
    }

    private static boolean quantized(Tensor a, Tensor b) {
        return a.is_quantized() && b.is_quantized();
    }

    /** The same operation on floats. */
    static Operation inFloat(Operation operation) {
        return switch (operation) {
            case Operation.Add(Tensor a, Tensor b) -> new Operation.Add(inFloat(a), inFloat(b));
            case Operation.AddScalar(Tensor a, double number) ->
                    new Operation.AddScalar(inFloat(a), number);
            case Operation.Mul(Tensor a, Tensor b) -> new Operation.Mul(inFloat(a), inFloat(b));
            case Operation.MulScalar(Tensor a, double number) ->
                    new Operation.MulScalar(inFloat(a), number);
            case Operation.Cat(List<Tensor> tensors, long dim) ->
                    new Operation.Cat(tensors.stream().map(QFunctional::inFloat).toList(), dim);
            case Operation.AddRelu(Tensor a, Tensor b) ->
                    new Operation.AddRelu(inFloat(a), inFloat(b));
            case Operation.Matmul(Tensor a, Tensor b) ->
                    new Operation.Matmul(inFloat(a), inFloat(b));
        };
    }

    /** The tensor itself, or what its integers stand for. */
    static Tensor inFloat(Tensor tensor) {
        return tensor.is_quantized() ? tensor.dequantize() : tensor;
    }

    @Override
    protected String extraRepr() {
        return "scale=" + io.espalier.nn.Repr.of(scale) + ", zero_point=" + zeroPoint;
    }

    /**
     * Arithmetic that was left out of quantization: it computes in floats, whatever it is given.
     */
    static final class InFloat extends FloatFunctional {
        @Override
        protected Tensor compute(Operation operation) {
            return super.compute(inFloat(operation));
        }

        @Override
        protected String typeName() {
            return "FloatFunctional";
        }
    }
}
