package io.espalier.quant.layer;

import static io.espalier.quant.layer.IntegerParts.ADDED_SCALE;
import static io.espalier.quant.layer.IntegerParts.ADDED_ZERO_POINT;
import static io.espalier.quant.layer.IntegerParts.BIAS;
import static io.espalier.quant.layer.IntegerParts.WEIGHT;

import io.espalier.graph.MemoryUse;
import io.espalier.nn.IntegerWeighted;
import io.espalier.nn.Module;
import io.espalier.tensor.BoundOperator;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Operator;
import io.espalier.tensor.Operators;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;

/**
 * A layer of a converted graph on oneDNN's kernels for plain integers: adds a second input where it
 * has one, computes an activation, and only then rounds; at the borders of the integer part it
 * gives floats. The integers are those of the quantized tensors, without a copy.
 */
public abstract class IntegerLayer extends QuantizedLayer implements IntegerWeighted {
    private final ChainActivation activation;
    private final boolean givesFloats;
    private final int channelAxis;
    private volatile @Nullable Kernels kernels;

    /**
     * The kernel with all it needs but the tensors of a call.
     *
     * @param kernel takes the input and, where one is added, the second input
     * @param floats takes the input and gives floats before sum and activation
     */
    record Kernels(BoundOperator kernel, BoundOperator floats) {}

    /** A weight as the kernels take it: their own layout, a scale a channel or one, zero points. */
    record PackedWeight(Tensor weight, Tensor scales, Tensor zeroPoints) {}

    IntegerLayer(IntegerParts parts) {
        super(parts.output() == null ? new Range(1, 0) : parts.output(), parts.input());
        activation = parts.activation();
        givesFloats = parts.output() == null;
        channelAxis = parts.integers().parameters().channelAxis();
        parts.addTo(this);
    }

    /** Brings the plain weight into the layout that the kernel has for inputs of a shape. */
    abstract Tensor pack(Tensor weight, Tensor scales, Range input, long[] inputShape);

    /** The name of oneDNN's operator; its overload that adds is called binary. */
    abstract String operator();

    /** What the operator is told of how the layer moves over its input. */
    abstract List<Object> geometryArguments();

    /** The kernel without a second input. */
    private BoundOperator kernel(
            PackedWeight weight, Range input, Range output, ScalarType type, ChainActivation then) {
        List<@Nullable Object> arguments = arguments(weight, input, false);
        arguments.addAll(
                List.of(
                        output.scale(),
                        output.zeroPoint(),
                        type,
                        then.postOperation(),
                        then.scalars(),
                        ""));
        return Operators.find(operator(), "").bind(arguments.toArray());
    }

    /** The kernel that adds its result to the second input, in its memory. */
    private BoundOperator accumulating(PackedWeight weight, Range input, Range added) {
        List<@Nullable Object> arguments = arguments(weight, input, true);
        arguments.addAll(
                List.of(
                        scale(),
                        zeroPoint(),
                        ScalarType.Byte,
                        added.scale(),
                        added.zeroPoint(),
                        "sum",
                        1.0,
                        activation.postOperation(),
                        activation.scalars(),
                        ""));
        return Operators.find(operator(), "binary").bind(arguments.toArray());
    }

    /** The arguments that both kernels begin with. */
    private List<@Nullable Object> arguments(PackedWeight weight, Range input, boolean adds) {
        List<@Nullable Object> arguments = new ArrayList<>();
        arguments.addAll(
                List.of(
                        Operator.TENSOR,
                        input.scale(),
                        input.zeroPoint(),
                        weight.weight(),
                        weight.scales(),
                        weight.zeroPoints()));
        if (adds) {
            arguments.add(Operator.TENSOR);
        }
        arguments.add(bias());
        arguments.addAll(geometryArguments());
        return arguments;
    }

    /** The shape of the result for an input that fits. */
    abstract long[] outputShape(Tensor x);

    /** The input in the layout that the kernel is fastest in. */
    Tensor arranged(Tensor x) {
        return x;
    }

    /** Refuses an input that does not fit. */
    abstract void requireFits(Tensor x);

    @Override
    public final Map<String, Tensor> floatWeights() {
        return Map.of(WEIGHT, integerWeight().floats());
    }

    private IntegerWeight integerWeight() {
        return IntegerWeight.read(ownBuffers(), WEIGHT, channelAxis);
    }

    /** Whether it adds a second input. */
    public final boolean adds() {
        return hasBuffer(ADDED_SCALE);
    }

    @Override
    public final boolean accumulates() {
        return adds();
    }

    @Override
    protected List<Tensor> forwardAll(List<Tensor> inputs) {
        if (inputs.size() != (adds() ? 2 : 1)) {
            throw new EspalierException(
                    typeName()
                            + " takes "
                            + (adds() ? 2 : 1)
                            + " tensors; got "
                            + inputs.size()
                            + ".");
        }
        requireFits(inputs.getFirst());
        Tensor x = arranged(integers(inputs.getFirst()));
        Kernels ready = kernels(x);
        if (!adds()) {
            Tensor y = shaped(ready.kernel().call(x), x);
            return List.of(givesFloats ? y : withScale(y));
        }
        Tensor other = integers(inputs.get(1));
        if (!Arrays.equals(Tensors.shape(other), outputShape(x))) {
            return List.of(broadcast(x, ready, inputs.get(1)));
        }
        Tensor y = ready.kernel().call(x, accumulator(other));
        return List.of(withScale(shaped(y, x)));
    }

    /** What the kernel adds to: the second input's memory, or a copy of it in its own layout. */
    private Tensor accumulator(Tensor other) {
        Tensor arranged = arranged(other);
        boolean copied = !arranged.is_alias_of(other);
        return copied || MemoryUse.mayOverwrite() ? arranged : arranged.clone();
    }

    /** Kernels give an empty batch other dimensions. */
    private Tensor shaped(Tensor y, Tensor x) {
        return y.numel() == 0 ? y.view(outputShape(x)) : y;
    }

    private Tensor integers(Tensor x) {
        if (!x.is_quantized()) {
            throw wrongInput(
                    x, "a quantized tensor is needed; it was given " + Tensors.type(x) + ".");
        }
        return Tensors.integers(x);
    }

    private Tensor withScale(Tensor integers) {
        return Tensors.quantized(integers, scale(), zeroPoint());
    }

    /** Adds a second input of another shape in floats: no kernel broadcasts. */
    private Tensor broadcast(Tensor x, Kernels ready, Tensor other) {
        Tensor sum = shaped(ready.floats().call(x), x).add(other.dequantize());
        return quantize(activation.apply(sum), scale(), zeroPoint());
    }

    /** The kernels, which are made for the first input; they take others too. */
    private Kernels kernels(Tensor x) {
        Kernels known = kernels;
        if (known == null) {
            synchronized (this) {
                known = kernels == null ? bind(Tensors.shape(x)) : kernels;
                kernels = known;
            }
        }
        return known;
    }

    private Kernels bind(long[] inputShape) {
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            IntegerWeight weight = integerWeight();
            Range input = Objects.requireNonNull(QuantizedLayer.input(ownBuffers()));
            Range output = new Range((float) scale(), Math.toIntExact(zeroPoint()));
            Tensor scales = weight.parameters().scaleTensor();
            var packed =
                    new PackedWeight(
                            pack(weight.integers(), scales, input, inputShape),
                            scales,
                            weight.parameters().zeroPointTensor());
            BoundOperator floats =
                    kernel(packed, input, new Range(1, 0), ScalarType.Float, ChainActivation.NONE);
            BoundOperator kernel =
                    adds()
                            ? accumulating(
                                    packed,
                                    input,
                                    Range.read(ownBuffers(), ADDED_SCALE, ADDED_ZERO_POINT))
                            : kernel(
                                    packed,
                                    input,
                                    output,
                                    givesFloats ? ScalarType.Float : ScalarType.Byte,
                                    activation);
            return new Kernels(kernel, floats);
        }
    }

    @Override
    protected void stateLoaded() {
        super.stateLoaded();
        kernels = null;
    }

    final @Nullable Tensor bias() {
        return hasBuffer(BIAS) ? buffer(BIAS) : null;
    }

    @Override
    public boolean standsFor(Module layer) {
        return true; // it stands in a graph, whose program says what it is
    }

    @Override
    public Map<String, String> attributes() {
        Map<String, String> attributes = new TreeMap<>();
        attributes.put("activation", activation.name());
        attributes.put("channel_axis", Integer.toString(channelAxis));
        attributes.put("gives_floats", Boolean.toString(givesFloats));
        return attributes;
    }

    /** The output's range as it is printed. */
    final String outputRange() {
        return givesFloats ? "dtype=torch.float32" : ranges();
    }

    /** {@code Integer}, the layer's kind, what is added and the activation. */
    final String named(String kind, String rank) {
        return "Integer" + kind + (adds() ? "Add" : "") + activation.layerName() + rank;
    }
}
