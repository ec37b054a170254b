package io.espalier.onnx.shape;

import java.util.List;

/** How far a window of a convolution or pooling goes, by its node's attributes. */
final class Window {
    private final List<Long> kernel;
    private final List<Extent> weight;
    private final List<Long> strides;
    private final List<Long> dilations;
    private final List<Long> pads;
    private final List<Long> outputPadding;
    private final String autoPad;

    /**
     * The window of a call.
     *
     * @param weight the lengths of a filter, for operators that have one
     */
    Window(Call call, List<Extent> weight) {
        kernel = call.node.integers("kernel_shape");
        strides = call.node.integers("strides");
        dilations = call.node.integers("dilations");
        pads = call.node.integers("pads");
        outputPadding = call.node.integers("output_padding");
        autoPad = call.node.text("auto_pad", "NOTSET");
        this.weight = weight;
        if (weight.isEmpty() && kernel.isEmpty()) {
            throw new Undecided();
        }
    }

    private static long at(List<Long> values, int dim, long ifAbsent) {
        if (!values.isEmpty() && dim >= values.size()) {
            throw new Undecided();
        }
        return values.isEmpty() ? ifAbsent : values.get(dim);
    }

    private long stride(int dim) {
        long stride = at(strides, dim, 1);
        if (stride < 1) {
            throw new Undecided();
        }
        return stride;
    }

    /** What the window spans, with the gaps of its dilation. */
    private Extent span(int dim) {
        Extent length = weight.isEmpty() ? Extent.of(at(kernel, dim, 1)) : weight.get(dim);
        return length.plus(-1).times(at(dilations, dim, 1)).plus(1);
    }

    private boolean isSame() {
        return autoPad.equals("SAME_UPPER") || autoPad.equals("SAME_LOWER");
    }

    private long before(int dim) {
        return autoPad.equals("VALID") ? 0 : at(pads, dim, 0);
    }

    private long after(int dim) {
        return autoPad.equals("VALID") || pads.isEmpty() ? 0 : at(pads, pads.size() / 2 + dim, 0);
    }

    /** How many places the window takes along a dimension; one that starts past the end is none. */
    Extent slide(Extent length, int dim, boolean roundUp) {
        long stride = stride(dim);
        if (isSame()) {
            return length.plus(stride - 1).over(stride);
        }
        Extent padded = length.plus(before(dim)).plus(after(dim));
        Extent room = padded.minus(span(dim));
        if (room.isKnown() && room.value() < 0) {
            throw new Undecided();
        }
        if (!roundUp) {
            return room.over(stride).plus(1);
        }
        Extent lastStart = length.plus(before(dim)).plus(-1);
        return room.plus(stride - 1).min(lastStart).over(stride).plus(1);
    }

    /** How far a transposed convolution's result reaches along a dimension. */
    Extent spread(Extent length, int dim) {
        long stride = stride(dim);
        if (isSame()) {
            return length.times(stride);
        }
        return length.plus(-1)
                .times(stride)
                .plus(at(outputPadding, dim, 0))
                .plus(span(dim))
                .plus(-before(dim))
                .plus(-after(dim));
    }
}
