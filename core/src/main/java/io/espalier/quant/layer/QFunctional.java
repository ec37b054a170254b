package io.espalier.quant.layer;

import io.espalier.nn.CallRecorder;
import io.espalier.nn.FloatFunctional;
import io.espalier.nn.Module;
import io.espalier.quant.layer.QuantizedLayer.Range;
import io.espalier.tensor.BoundOperator;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Operator;
import io.espalier.tensor.Operators;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.jspecify.annotations.Nullable;

import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;

/**
 * Arithmetic between quantized tensors, its results quantized with a fixed range: what a {@code
 * FloatFunctional} becomes. Where an operand is float, or there is no int8 kernel, it computes in
 * floats and quantizes the result.
 */
public final class QFunctional extends FloatFunctional implements SavedForm {
    private static final String SCALE = "scale";
    private static final String ZERO_POINT = "zero_point";

    private @Nullable Range output;
    private boolean givesFloats;

    /** Replaced, never changed, since copies of this module begin with it. */
    private volatile Map<String, BoundOperator> kernels = Map.of();

    /**
     * Arithmetic in integers.
     *
     * @param output the range of its results; {@code null} where none was observed, since numbers
     *     were added or multiplied only, whose results' ranges follow from their operands'
     */
    public QFunctional(@Nullable Range output) {
        if (output != null) {
            output.addTo(this, SCALE, ZERO_POINT);
        }
        this.output = output;
    }

    static QFunctional read(Map<String, Tensor> tensors) {
        return new QFunctional(
                tensors.containsKey(SCALE) ? Range.read(tensors, SCALE, ZERO_POINT) : null);
    }

    @Override
    public boolean standsFor(Module layer) {
        return layer instanceof FloatFunctional;
    }

    @Override
    public Map<String, String> attributes() {
        return Map.of();
    }

    @Override
    protected void stateLoaded() {
        if (output != null) {
            output = Range.read(ownBuffers(), SCALE, ZERO_POINT);
        }
        kernels = Map.of();
    }

    private Range output(Operation operation) {
        if (output == null) {
            throw new EspalierException(
                    "A QFunctional saw no result of "
                            + operation.getClass().getSimpleName()
                            + " while calibrating, so its range is not known; calibrate the model"
                            + " as it is used.");
        }
        return output;
    }

    /** From now on its results are floats, rounded as they are. */
    public void giveFloats() {
        givesFloats = true;
    }

    @Override
    protected Tensor compute(Operation operation) {
        Tensor result = rounded(operation);
        return givesFloats ? floats(result) : result;
    }

    private Tensor rounded(Operation operation) {
        return switch (operation) {
            case Operation.Add(Tensor a, Tensor b) when quantized(a, b) ->
                    run("quantized::add", operation, a, b);
            case Operation.AddRelu(Tensor a, Tensor b) when quantized(a, b) ->
                    run("quantized::add_relu", operation, a, b);
            case Operation.Mul(Tensor a, Tensor b) when quantized(a, b) ->
                    run("quantized::mul", operation, a, b);
            case Operation.Cat(List<Tensor> tensors, long dim)
                    when tensors.stream().allMatch(Tensor::is_quantized) ->
                    cat(output(operation), tensors, dim);
            case Operation.AddScalar(Tensor a, double number) when a.is_quantized() ->
                    withNumber("quantized::add_scalar", a, number);
            case Operation.MulScalar(Tensor a, double number) when a.is_quantized() ->
                    withNumber("quantized::mul_scalar", a, number);
            case Operation.AddScalar scalar -> super.compute(scalar);
            case Operation.MulScalar scalar -> super.compute(scalar);
            default -> {
                Range range = output(operation);
                yield rounded(super.compute(inFloat(operation, QFunctional::floats)), range);
            }
        };
    }

    /** Calls an operator of two tensors, which is made ready once. */
    private Tensor run(String operator, Operation operation, Tensor first, Tensor second) {
        BoundOperator known = kernels.get(operator);
        if (known == null) {
            Range range = output(operation);
            known =
                    Operators.find(operator)
                            .bind(
                                    Operator.TENSOR,
                                    Operator.TENSOR,
                                    range.scale(),
                                    range.zeroPoint());
            Map<String, BoundOperator> more = new HashMap<>(kernels);
            more.put(operator, known);
            kernels = Map.copyOf(more);
        }
        Range range = output(operation);
        return recorded(
                known.call(first, second),
                operator,
                first,
                second,
                (double) range.scale(),
                (long) range.zeroPoint());
    }

    private static Tensor withNumber(String operator, Tensor tensor, double number) {
        return recorded(Operators.call(operator, "", tensor, number), operator, tensor, number);
    }

    private static Tensor cat(Range range, List<Tensor> tensors, long dim) {
        double scale = range.scale();
        long zeroPoint = range.zeroPoint();
        return recorded(
                Operators.call("quantized::cat", "", tensors, dim, scale, zeroPoint),
                "quantized::cat",
                tensors,
                dim,
                scale,
                zeroPoint);
    }

    private static Tensor rounded(Tensor floats, Range range) {
        return recorded(
                QuantizedLayer.quantize(floats, range.scale(), range.zeroPoint()),
                "aten::quantize_per_tensor",
                floats,
                (double) range.scale(),
                (long) range.zeroPoint(),
                ScalarType.QUInt8);
    }

    /** What a tensor's integers stand for, which a graph shows as a step. */
    private static Tensor floats(Tensor tensor) {
        return tensor.is_quantized()
                ? recorded(tensor.dequantize(), "aten::dequantize.self", tensor)
                : tensor;
    }

    /** Tells who traces a model, if anybody does, what was computed. */
    private static Tensor recorded(Tensor result, String operator, @Nullable Object... arguments) {
        if (CallRecorder.CURRENT.isBound()) {
            CallRecorder.CURRENT
                    .get()
                    .function(List.of(result), operator, Arrays.asList(arguments));
        }
        return result;
    }

    private static boolean quantized(Tensor a, Tensor b) {
        return a.is_quantized() && b.is_quantized();
    }

    /** The same operation on floats. */
    private static Operation inFloat(Operation operation, UnaryOperator<Tensor> floats) {
        return switch (operation) {
            case Operation.Add(Tensor a, Tensor b) ->
                    new Operation.Add(floats.apply(a), floats.apply(b));
            case Operation.AddScalar(Tensor a, double number) ->
                    new Operation.AddScalar(floats.apply(a), number);
            case Operation.Mul(Tensor a, Tensor b) ->
                    new Operation.Mul(floats.apply(a), floats.apply(b));
            case Operation.MulScalar(Tensor a, double number) ->
                    new Operation.MulScalar(floats.apply(a), number);
            case Operation.Cat(List<Tensor> tensors, long dim) ->
                    new Operation.Cat(tensors.stream().map(floats).toList(), dim);
            case Operation.AddRelu(Tensor a, Tensor b) ->
                    new Operation.AddRelu(floats.apply(a), floats.apply(b));
            case Operation.Matmul(Tensor a, Tensor b) ->
                    new Operation.Matmul(floats.apply(a), floats.apply(b));
        };
    }

    /** The tensor itself, or what its integers stand for. */
    public static Tensor inFloat(Tensor tensor) {
        return tensor.is_quantized() ? tensor.dequantize() : tensor;
    }

    @Override
    protected String extraRepr() {
        return (output == null ? new Range(1, 0) : output).toString();
    }

    /**
     * Arithmetic that was left out of quantization: it computes in floats, whatever it is given.
     */
    public static final class InFloat extends FloatFunctional {
        @Override
        protected Tensor compute(Operation operation) {
            return super.compute(inFloat(operation, QFunctional::floats));
        }

        @Override
        protected String typeName() {
            return "FloatFunctional";
        }
    }
}
