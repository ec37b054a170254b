package io.espalier.quant.layer;

import io.espalier.nn.Convolution;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Operators;

import org.bytedeco.pytorch.Tensor;

import java.util.List;
import java.util.Map;

/** A convolution on plain integers, [N, C, spatial…]. */
final class IntegerConvolution extends IntegerLayer {
    private final Geometry geometry;

    private IntegerConvolution(IntegerParts parts, Geometry geometry) {
        super(parts);
        this.geometry = geometry;
    }

    static IntegerConvolution of(Convolution convolution, IntegerParts parts) {
        return new IntegerConvolution(parts, Geometry.of(convolution));
    }

    static IntegerConvolution read(Map<String, Tensor> tensors, Map<String, String> attributes) {
        IntegerParts parts = IntegerParts.read(tensors, attributes);
        Geometry geometry = Geometry.read(attributes);
        Tensor weight = parts.integers().integers();
        geometry.requireFits(weight, parts.bias());
        if (geometry.transposed() || new EarlyPadding(geometry, weight).isNeeded()) {
            throw new EspalierException(
                    "oneDNN's kernels for plain integers neither transpose nor pad farther than"
                            + " their window, nor differently before and after");
        }
        requireKernel(geometry.rank(), parts);
        return new IntegerConvolution(parts, geometry);
    }

    /** Only those of two dimensions add and compute every activation. */
    private static void requireKernel(int rank, IntegerParts parts) {
        ChainActivation then = parts.activation();
        boolean exists =
                rank == 2
                        || (parts.added() == null
                                && (then == ChainActivation.NONE
                                        || (rank == 1 && then == ChainActivation.RELU)));
        if (!exists) {
            throw new EspalierException(
                    "no kernel of "
                            + rank
                            + " dimensions computes "
                            + (parts.added() == null ? then : "a sum"));
        }
    }

    /**
     * {@inheritDoc}
     *
     * <p>oneDNN's layout of a weight depends on the input's extents and on whether its zero point
     * is 0; a weight in another layout is brought into it in every call. libtorch remembers layouts
     * by the input's shape but not by the zero point, so the two kinds are told batches that
     * differ.
     */
    @Override
    Tensor pack(Tensor weight, Tensor scales, Range input, long[] inputShape) {
        long[] shape = inputShape.clone();
        shape[0] = 2 * shape[0] + (input.zeroPoint() == 0 ? 0 : 1);
        return Operators.call(
                "onednn::qconv_prepack",
                "",
                weight,
                scales,
                input.scale(),
                input.zeroPoint(),
                geometry.stride(),
                geometry.padding(),
                geometry.dilation(),
                geometry.groups(),
                shape);
    }

    @Override
    void requireFits(Tensor x) {
        geometry.requireFits(this, x, buffer("weight"));
    }

    /** One picture alone is a batch of one. */
    @Override
    protected List<Tensor> forwardAll(List<Tensor> inputs) {
        boolean alone = !inputs.isEmpty() && inputs.getFirst().dim() == geometry.rank() + 1;
        return alone
                ? List.of(
                        super.forwardAll(inputs.stream().map(x -> x.unsqueeze(0)).toList())
                                .getFirst()
                                .squeeze(0))
                : super.forwardAll(inputs);
    }

    /** The layout that the kernels compute in: else they would convert it in every call. */
    @Override
    Tensor arranged(Tensor x) {
        return x.dim() == 4 ? ChannelsLast.of(x) : x;
    }

    @Override
    long[] outputShape(Tensor x) {
        return geometry.outputShape(x, buffer("weight"));
    }

    @Override
    String operator() {
        return "onednn::qconv" + geometry.rank() + "d_pointwise";
    }

    @Override
    List<Object> geometryArguments() {
        return List.of(
                geometry.stride(), geometry.padding(), geometry.dilation(), geometry.groups());
    }

    @Override
    public Map<String, String> attributes() {
        Map<String, String> attributes = super.attributes();
        geometry.addTo(attributes);
        return attributes;
    }

    @Override
    protected String typeName() {
        return named("Conv", geometry.rank() + "d");
    }

    @Override
    protected String extraRepr() {
        var text = new StringBuilder();
        geometry.print(text, buffer("weight"), outputRange());
        if (bias() == null) {
            text.append(", bias=False");
        }
        return text.toString();
    }

    @Override
    public long multiplications(List<long[]> inputs, List<long[]> outputs) {
        return multiplications(buffer("weight"), outputs.getFirst());
    }
}
