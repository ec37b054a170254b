package io.espalier.onnx.export;

import io.espalier.nn.Convolution;
import io.espalier.onnx.model.OnnxNode;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/**
 * How a convolution's kernel moves.
 *
 * @param before the padding before each spatial dimension
 * @param after the padding after each
 * @param outputPadding what a transposed one adds to its output; empty for others
 */
record ConvolutionGeometry(
        boolean transposed,
        List<Long> stride,
        List<Long> before,
        List<Long> after,
        List<Long> dilation,
        List<Long> outputPadding,
        long groups) {
    /** That of a layer, apart from what its padding is filled with. */
    static ConvolutionGeometry of(Convolution layer) {
        return new ConvolutionGeometry(
                layer.isTransposed(),
                list(layer.stride()),
                list(layer.paddingBefore()),
                list(layer.paddingAfter()),
                list(layer.dilation()),
                layer.isTransposed() ? list(layer.outputPadding()) : List.of(),
                layer.groups());
    }

    private static String text(Map<String, String> attributes, String name) {
        return String.valueOf(attributes.get(name));
    }

    /** That of a quantized layer, by what a file would say of it. */
    static ConvolutionGeometry read(Map<String, String> attributes) {
        boolean transposed = Boolean.parseBoolean(attributes.get("transposed"));
        List<Long> before = numbers(text(attributes, "padding"));
        String after = attributes.get("padding_after");
        return new ConvolutionGeometry(
                transposed,
                numbers(text(attributes, "stride")),
                before,
                after == null ? before : numbers(after),
                numbers(text(attributes, "dilation")),
                transposed ? numbers(text(attributes, "output_padding")) : List.of(),
                Long.parseLong(String.valueOf(attributes.get("groups"))));
    }

    private static List<Long> numbers(String text) {
        return Arrays.stream(text.split(",")).map(Long::parseLong).toList();
    }

    private static List<Long> list(long... numbers) {
        return Arrays.stream(numbers).boxed().toList();
    }

    /** How many spatial dimensions there are. */
    int rank() {
        return stride.size();
    }

    /** The same for an input that is padded already. */
    ConvolutionGeometry padded() {
        List<Long> none = stride.stream().map(s -> 0L).toList();
        return new ConvolutionGeometry(
                transposed, stride, none, none, dilation, outputPadding, groups);
    }

    /**
     * Writes a convolution of x, [N, C, …] or [C, …].
     *
     * @param rank the number of x's dimensions
     * @param bias [out], or empty
     */
    String write(Draft draft, String x, int rank, String weight, String bias) {
        return Batches.around(
                draft,
                x,
                rank,
                rank() + 2,
                batch ->
                        draft.node(
                                transposed ? "ConvTranspose" : "Conv",
                                this::attributes,
                                batch,
                                weight,
                                bias));
    }

    private OnnxNode attributes(OnnxNode node) {
        List<Long> pads = new ArrayList<>(before);
        pads.addAll(after);
        OnnxNode written =
                node.with("strides", stride)
                        .with("pads", pads)
                        .with("dilations", dilation)
                        .with("group", groups);
        return outputPadding.isEmpty() ? written : written.with("output_padding", outputPadding);
    }
}
