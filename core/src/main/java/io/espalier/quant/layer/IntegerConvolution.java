package io.espalier.quant.layer;

import io.espalier.nn.Convolution;
import io.espalier.nn.Inputs;
import io.espalier.tensor.Operators;

import org.bytedeco.pytorch.Tensor;

import java.util.List;
import java.util.Map;

/** A convolution on plain integers, [N, C, spatial…]. */
final class IntegerConvolution extends IntegerLayer {
    private final QuantizedConvolution.Geometry geometry;

    private IntegerConvolution(IntegerParts parts, QuantizedConvolution.Geometry geometry) {
        super(parts);
        this.geometry = geometry;
    }

    static IntegerConvolution of(Convolution convolution, IntegerParts parts) {
        return new IntegerConvolution(parts, QuantizedConvolution.Geometry.of(convolution));
    }

    static IntegerConvolution read(Map<String, Tensor> tensors, Map<String, String> attributes) {
        return new IntegerConvolution(
                IntegerParts.read(tensors, attributes),
                QuantizedConvolution.Geometry.read(attributes));
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
        int rank = geometry.rank();
        if (x.dim() != rank + 2) {
            throw wrongInput(x, "a tensor of " + (rank + 2) + " dimensions is needed.");
        }
        Inputs.requireChannels(this, x, rank, buffer("weight").size(1) * geometry.groups());
        for (int d = 0; d < rank; d++) {
            if (extent(x, d) < 1) {
                throw wrongInput(x, "the input is smaller than the kernel.");
            }
        }
    }

    private long extent(Tensor x, int d) {
        long kernelSize = geometry.dilation()[d] * (buffer("weight").size(d + 2) - 1) + 1;
        return (x.size(d + 2) + 2 * geometry.padding()[d] - kernelSize) / geometry.stride()[d] + 1;
    }

    /** The layout that the kernels compute in: else they would convert it in every call. */
    @Override
    Tensor arranged(Tensor x) {
        return x.dim() == 4 ? ChannelsLast.of(x) : x;
    }

    @Override
    long[] outputShape(Tensor x) {
        long[] shape = new long[geometry.rank() + 2];
        shape[0] = x.size(0);
        shape[1] = buffer("weight").size(0);
        for (int d = 0; d < geometry.rank(); d++) {
            shape[d + 2] = extent(x, d);
        }
        return shape;
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
    Map<String, String> attributes() {
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
        Tensor weight = buffer("weight");
        var text = new StringBuilder();
        text.append(weight.size(1) * geometry.groups()).append(", ").append(weight.size(0));
        geometry.print(text, weight, outputRange());
        if (bias() == null) {
            text.append(", bias=False");
        }
        return text.toString();
    }
}
