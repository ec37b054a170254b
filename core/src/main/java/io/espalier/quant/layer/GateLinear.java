package io.espalier.quant.layer;

import io.espalier.nn.Module;
import io.espalier.quant.layer.QuantizedLayer.Range;
import io.espalier.quant.observer.Qscheme;
import io.espalier.tensor.Engine;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Operators;
import io.espalier.tensor.PackedObject;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.Map;

/**
 * One of the products of a recurrent layer, {@code W x + b}: floats that are rounded to given
 * integers, times 8-bit weights, gives floats.
 *
 * <p>fbgemm gives the sums themselves. Other engines give integers only; there the buffers {@code
 * scale} and {@code zero_point} say what range they stand for.
 */
final class GateLinear extends Module {
    private static final String WEIGHT = "weight";
    private static final String BIAS = "bias";
    private static final String SCALE = "scale";
    private static final String ZERO_POINT = "zero_point";

    private final Engine engine;
    private final int channelAxis;
    private volatile @Nullable PackedObject packed;
    private @Nullable Range output;

    /**
     * A product.
     *
     * @param output the range of its results, where the engine needs one
     */
    GateLinear(IntegerWeight weight, @Nullable Tensor bias, Engine engine, @Nullable Range output) {
        this.engine = engine;
        this.channelAxis = weight.parameters().channelAxis();
        weight.addTo(this, WEIGHT);
        if (bias != null) {
            addBuffer(BIAS, bias);
        }
        if (output != null) {
            output.addTo(this, SCALE, ZERO_POINT);
        }
        this.output = output;
    }

    /** What a file says of a product of [*, in] to [*, out]. */
    static GateLinear read(
            Map<String, Tensor> tensors, int channelAxis, Engine engine, long out, long in) {
        IntegerWeight weight = IntegerWeight.read(tensors, WEIGHT, channelAxis);
        IntegerWeight.requireShape(WEIGHT, weight.integers(), out, in);
        weight.requireRunsOn(WEIGHT, engine);
        IntegerWeight.requireBias(tensors.get(BIAS), out);
        if (givesFloats(engine) == tensors.containsKey(SCALE)) {
            throw new EspalierException(
                    "a product of a recurrent layer on "
                            + engine
                            + (givesFloats(engine) ? " has no range" : " needs a range"));
        }
        return new GateLinear(
                weight,
                tensors.get(BIAS),
                engine,
                tensors.containsKey(SCALE) ? Range.read(tensors, SCALE, ZERO_POINT) : null);
    }

    /** Whether an engine's kernels can give their sums in floats. */
    static boolean givesFloats(Engine engine) {
        return engine == Engine.FBGEMM || engine == Engine.X86;
    }

    IntegerWeight weight() {
        return IntegerWeight.read(ownBuffers(), WEIGHT, channelAxis);
    }

    /** The packed weight, which is made when it is first asked for. */
    PackedObject packed() {
        PackedObject known = packed;
        return known == null ? engine.during(this::pack) : known;
    }

    private PackedObject pack() {
        PackedObject known = packed;
        if (known == null) {
            try (var scope = new PointerScope()) {
                known =
                        Operators.find("quantized::linear_prepack", "")
                                .packed(
                                        weight().quantized(),
                                        hasBuffer(BIAS) ? buffer(BIAS) : null);
            }
            packed = known;
        }
        return known;
    }

    @Override
    protected void stateLoaded() {
        packed = null;
        output = output == null ? null : Range.read(ownBuffers(), SCALE, ZERO_POINT);
    }

    /** The product with floats [*, in], which are rounded to a range first: floats [*, out]. */
    Tensor product(Tensor x, Range input) {
        if (output == null) {
            return Operators.call(
                    "quantized::linear_with_input_q_dq_qweight_dq_output_fp32",
                    "",
                    x,
                    input.scale(),
                    input.zeroPoint(),
                    packed());
        }
        return Operators.call(
                        "quantized::linear",
                        "",
                        QuantizedLayer.quantize(x, input.scale(), input.zeroPoint()),
                        packed(),
                        output.scale(),
                        output.zeroPoint())
                .dequantize();
    }

    @Override
    protected String extraRepr() {
        return Printed.features(buffer(WEIGHT))
                + (output == null ? "" : ", " + output)
                + ", qscheme="
                + (channelAxis < 0 ? Qscheme.PER_TENSOR_AFFINE : Qscheme.PER_CHANNEL_AFFINE);
    }
}
