package io.espalier.quant.layer;

import io.espalier.nn.Convolution;
import io.espalier.nn.IntegerWeighted;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.quant.observer.Qscheme;
import io.espalier.tensor.BoundOperator;
import io.espalier.tensor.Engine;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Operator;
import io.espalier.tensor.PackedObject;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.Arrays;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Supplier;

/**
 * A quantized layer with an {@link IntegerWeight} and a float {@code bias}. From them the weight is
 * packed for the engine that runs it.
 */
public abstract class PackedLayer extends QuantizedLayer implements IntegerWeighted {
    private static final String WEIGHT = "weight";
    private static final String BIAS = "bias";

    private final Engine engine;
    private final int channelAxis;
    private volatile @Nullable BoundOperator kernel;

    /**
     * What is packed.
     *
     * @param integers the weight
     * @param bias the float bias
     * @param engine whose kernels compute with it
     */
    record Weight(IntegerWeight integers, @Nullable Tensor bias, Engine engine) {
        static Weight of(String place, Tensor weight, @Nullable Tensor bias, Packing packing) {
            return new Weight(
                    IntegerWeight.of(place + ".weight", weight, packing),
                    bias == null ? null : bias.detach().clone(),
                    packing.engine());
        }

        /** What a saved layer says about its weight. */
        static Weight read(Map<String, Tensor> tensors, Map<String, String> attributes) {
            Engine engine = Attributes.engine(attributes);
            IntegerWeight integers =
                    IntegerWeight.read(tensors, WEIGHT, Attributes.channelAxis(attributes));
            integers.requireRunsOn("weight", engine);
            return new Weight(integers, tensors.get(BIAS), engine);
        }
    }

    /** The form of a layer whose ranges its observers know. */
    static PackedLayer of(PlacedLayer place, Module layer, boolean relu, Packing packing) {
        return of(place.path(), layer, relu, packing, place.output(), place.input());
    }

    /**
     * The form of a float layer that computes in integers, its weight packed.
     *
     * @param place where it stands, for errors
     * @param layer a linear layer or convolution
     * @param relu whether its output goes through a ReLU
     * @param output the range of its output
     * @param input the range of its input, where that comes as floats
     * @throws EspalierException if there is no kernel for it
     */
    public static PackedLayer of(
            String place,
            Module layer,
            boolean relu,
            Packing packing,
            Range output,
            @Nullable Range input) {
        PackedLayer made =
                switch (layer) {
                    case Linear linear ->
                            QuantizedLinear.of(place, linear, relu, packing, output, input);
                    case Convolution convolution ->
                            QuantizedConvolution.of(
                                    place, convolution, relu, packing, output, input);
                    default ->
                            throw new EspalierException(
                                    "No int8 kernel for the " + layer + " at '" + place + "'.");
                };
        made.kernel();
        return made;
    }

    PackedLayer(Weight weight, Range output, @Nullable Range input) {
        super(output, input);
        this.engine = weight.engine();
        this.channelAxis = weight.integers().parameters().channelAxis();
        weight.integers().addTo(this, WEIGHT);
        if (weight.bias() != null) {
            addBuffer(BIAS, weight.bias());
        }
    }

    /** Packs a quantized weight with the current engine. */
    abstract PackedObject pack(Tensor weight, @Nullable Tensor bias);

    /** The operator that takes the input, the packed weight, and the output's range. */
    abstract Operator operator();

    /**
     * The kernel, which is made with the packed weight when it is first asked for: it takes the
     * input.
     *
     * @throws EspalierException if this platform does not have the layer's engine
     */
    final BoundOperator kernel() {
        BoundOperator known = kernel;
        return known == null ? engine.during(this::kernelNow) : known;
    }

    private BoundOperator kernelNow() {
        BoundOperator known = kernel;
        if (known == null) {
            known = bind(() -> pack(integerWeight().quantized(), bias()));
            kernel = known;
        }
        return known;
    }

    private BoundOperator bind(Supplier<PackedObject> packing) {
        try (var scope = new PointerScope()) {
            return operator().bind(Operator.TENSOR, packing.get(), scale(), zeroPoint());
        }
    }

    /** Another kernel of this layer, with what is packed for its engine. */
    final BoundOperator kernel(Supplier<PackedObject> packing) {
        return engine.during(() -> bind(packing));
    }

    final Engine engine() {
        return engine;
    }

    final @Nullable Tensor bias() {
        return hasBias() ? buffer(BIAS) : null;
    }

    final IntegerWeight integerWeight() {
        return IntegerWeight.read(ownBuffers(), WEIGHT, channelAxis);
    }

    @Override
    public Map<String, Tensor> floatWeights() {
        return Map.of(WEIGHT, integerWeight().floats());
    }

    /** Adds to the bias; a layer without one gets one. */
    public final void shiftBias(Tensor shift) {
        if (hasBias()) {
            setBuffer(BIAS, buffer(BIAS).add(shift));
        } else {
            addBuffer(BIAS, shift);
        }
        forgetKernels();
    }

    /** Weights have changed: what was packed of them is packed anew. */
    void forgetKernels() {
        kernel = null;
    }

    /** Whether the weight has the shape of another. */
    final boolean hasShapeOf(Tensor other) {
        return Arrays.equals(Tensors.shape(buffer(WEIGHT)), Tensors.shape(other));
    }

    final boolean hasBias() {
        return hasBuffer(BIAS);
    }

    /** The scheme as PyTorch prints a quantized weight's. */
    final Qscheme weightScheme() {
        return channelAxis < 0 ? Qscheme.PER_TENSOR_AFFINE : Qscheme.PER_CHANNEL_AFFINE;
    }

    @Override
    protected void stateLoaded() {
        super.stateLoaded();
        forgetKernels();
    }

    @Override
    public Map<String, String> attributes() {
        return attributes(engine, channelAxis);
    }

    static Map<String, String> attributes(Engine engine, int channelAxis) {
        Map<String, String> attributes = new TreeMap<>();
        attributes.put("engine", engine.toString());
        attributes.put("channel_axis", Integer.toString(channelAxis));
        return attributes;
    }
}
