package io.espalier.quant.layer;

import io.espalier.nn.Convolution;
import io.espalier.nn.Module;
import io.espalier.tensor.BoundOperator;
import io.espalier.tensor.Engine;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Operator;
import io.espalier.tensor.Operators;
import io.espalier.tensor.PackedObject;
import io.espalier.tensor.QuantizedTensors;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.List;
import java.util.Map;

/**
 * A convolution of one, two or three dimensions, or a transposed one, in 8-bit integers, then a
 * ReLU where it was fused.
 */
final class QuantizedConvolution extends PackedLayer {
    private final Geometry geometry;
    private final boolean relu;
    private final EarlyPadding earlyPadding;
    private final boolean inPairs;
    private volatile @Nullable BoundOperator pairs;

    private QuantizedConvolution(
            Weight weight, Geometry geometry, boolean relu, Range output, @Nullable Range input) {
        super(weight, output, input);
        this.geometry = geometry;
        this.relu = relu;
        this.earlyPadding = new EarlyPadding(geometry, buffer("weight"));
        this.inPairs = ColumnPairs.pay(geometry, weight.integers(), weight.engine());
    }

    static QuantizedConvolution of(
            String place,
            Convolution convolution,
            boolean relu,
            Packing packing,
            Range output,
            @Nullable Range input) {
        if (!EarlyPadding.supports(convolution)) {
            throw new EspalierException(
                    "The convolution '"
                            + place
                            + "' pads with "
                            + convolution.paddingMode()
                            + ", which has no int8 kernel; leave it in float with qconfig(null).");
        }
        var weight =
                Weight.of(
                        place,
                        convolution.weight(),
                        convolution.bias(),
                        convolution.isTransposed()
                                ? packing.transposed(
                                        transposing(place, convolution, packing.engine()))
                                : packing);
        return new QuantizedConvolution(weight, Geometry.of(convolution), relu, output, input);
    }

    /**
     * The engine that runs a transposed convolution: oneDNN's kernels, which x86 chooses too, give
     * wrong sums for these, and qnnpack's for those of three dimensions.
     */
    private static Engine transposing(String place, Convolution convolution, Engine wanted) {
        if (isRight(wanted, convolution.stride().length)) {
            return wanted;
        }
        if (!Engine.available().contains(Engine.FBGEMM)) {
            throw new EspalierException(
                    "The transposed convolution '"
                            + place
                            + "' has no right int8 kernel of the engine "
                            + wanted
                            + " and fbgemm is not in this platform's libtorch; leave it in float"
                            + " with qconfig(null).");
        }
        return Engine.FBGEMM;
    }

    static QuantizedConvolution read(Map<String, Tensor> tensors, Map<String, String> attributes) {
        Weight weight = Weight.read(tensors, attributes);
        Geometry geometry = Geometry.read(attributes);
        geometry.requireFits(weight.integers().integers(), weight.bias());
        boolean relu = Attributes.flag(attributes, "relu");
        if (geometry.transposed()) {
            requireTransposing(weight, geometry, relu);
        }
        return new QuantizedConvolution(weight, geometry, relu, output(tensors), input(tensors));
    }

    private static void requireTransposing(Weight weight, Geometry geometry, boolean relu) {
        Engine engine = weight.engine();
        if (!isRight(engine, geometry.rank())
                || relu
                || weight.integers().parameters().isPerChannel()) {
            throw new EspalierException(
                    "transposed convolutions of "
                            + geometry.rank()
                            + " dimensions run on "
                            + (geometry.rank() < 3 ? "fbgemm or qnnpack" : "fbgemm")
                            + ", with one scale and without ReLU");
        }
    }

    private static boolean isRight(Engine engine, int rank) {
        return engine == Engine.FBGEMM || (engine == Engine.QNNPACK && rank < 3);
    }

    @Override
    Operator operator() {
        boolean overloaded = !geometry.transposed() && geometry.rank() > 1;
        return Operators.find(
                "quantized::" + geometry.operator() + (relu ? "_relu" : ""),
                overloaded ? "new" : "");
    }

    @Override
    PackedObject pack(Tensor weight, @Nullable Tensor bias) {
        return geometry.transposed()
                ? Operators.find("quantized::" + geometry.operator() + "_prepack", "")
                        .packed(
                                weight,
                                bias,
                                geometry.stride(),
                                geometry.padding(),
                                geometry.outputPadding(),
                                geometry.dilation(),
                                geometry.groups())
                : packed(weight, bias, geometry.stride());
    }

    private PackedObject packed(Tensor weight, @Nullable Tensor bias, long[] stride) {
        return Operators.find("quantized::" + geometry.operator() + "_prepack", "")
                .packed(
                        weight,
                        bias,
                        stride,
                        earlyPadding.rest(),
                        geometry.dilation(),
                        geometry.groups());
    }

    /** The kernel that gives two columns at once, made when it is first asked for. */
    private BoundOperator pairs() {
        BoundOperator known = pairs;
        if (known == null) {
            known = kernel(this::packedPairs);
            pairs = known;
        }
        return known;
    }

    private PackedObject packedPairs() {
        Tensor bias = bias();
        return packed(
                ColumnPairs.weight(integerWeight(), geometry).quantized(),
                bias == null ? null : QuantizedTensors.cat(List.of(bias, bias), 0),
                ColumnPairs.stride(geometry));
    }

    @Override
    void forgetKernels() {
        super.forgetKernels();
        pairs = null;
    }

    @Override
    protected Tensor forward(Tensor x) {
        int rank = geometry.rank();
        boolean batched = x.dim() == rank + 2;
        geometry.requireFits(this, x, buffer("weight"));
        if (!earlyPadding.fits(x)) {
            throw wrongInput(x, "it can't be mirrored farther than it is long.");
        }
        Tensor input = quantized(batched ? x : x.unsqueeze(0));
        Tensor y = computed(earlyPadding.around(input), input);
        return batched ? y : y.squeeze(0);
    }

    private Tensor computed(Tensor padded, Tensor input) {
        if (inPairs) {
            long[] shape = geometry.outputShape(input, buffer("weight"));
            if (ColumnPairs.fit(shape)) {
                return ColumnPairs.apart(pairs().call(ChannelsLast.ofPicture(padded)), shape);
            }
        }
        return kernel().call(geometry.rank() == 2 ? ChannelsLast.ofPicture(padded) : padded);
    }

    @Override
    public boolean standsFor(Module layer) {
        return layer instanceof Convolution convolution
                && geometry.equals(Geometry.of(convolution))
                && hasShapeOf(convolution.weight());
    }

    @Override
    public Map<String, String> attributes() {
        Map<String, String> attributes = super.attributes();
        attributes.put("relu", Boolean.toString(relu));
        geometry.addTo(attributes);
        return attributes;
    }

    @Override
    protected String typeName() {
        return "Quantized"
                + (geometry.transposed() ? "ConvTranspose" : relu ? "ConvReLU" : "Conv")
                + geometry.rank()
                + "d";
    }

    @Override
    protected String extraRepr() {
        var text = new StringBuilder();
        geometry.print(text, buffer("weight"), ranges());
        if (!hasBias()) {
            text.append(", bias=False");
        }
        return text.toString();
    }

    @Override
    public long multiplications(List<long[]> inputs, List<long[]> outputs) {
        return multiplications(
                buffer("weight"), geometry.transposed() ? inputs.getFirst() : outputs.getFirst());
    }
}
