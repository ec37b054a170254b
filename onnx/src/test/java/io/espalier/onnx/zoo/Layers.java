package io.espalier.onnx.zoo;

import static io.espalier.onnx.zoo.Net.axis;
import static io.espalier.onnx.zoo.Net.integers;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;

import java.util.ArrayList;
import java.util.List;

/** Layers as the exporters write them. Pictures are [N, C, H, W], tokens [N, L, C]. */
final class Layers {
    private final Net net;

    Layers(Net net) {
        this.net = net;
    }

    /** How a convolution goes over its input. */
    record Window(long kernel, long stride, long padding, long groups) {
        static final Window ONE = new Window(1, 1, 0, 1);
        static final Window THREE = new Window(3, 1, 1, 1);
        static final Window DOWN = new Window(3, 2, 1, 1);

        static Window of(long kernel, long stride, long groups) {
            return new Window(kernel, stride, kernel / 2, groups);
        }
    }

    String conv(String x, long from, long to, Window window) {
        double deviation = Math.sqrt(2.0 * window.groups / (from * window.kernel * window.kernel));
        return conv(
                x,
                net.weight(deviation, to, from / window.groups, window.kernel, window.kernel),
                net.around(0, 0.1, to),
                window);
    }

    private String conv(String x, String weight, String bias, Window window) {
        return net.call(
                "Conv",
                node ->
                        node.with("dilations", List.of(1L, 1L))
                                .with("group", window.groups)
                                .with("kernel_shape", List.of(window.kernel, window.kernel))
                                .with(
                                        "pads",
                                        List.of(
                                                window.padding,
                                                window.padding,
                                                window.padding,
                                                window.padding))
                                .with("strides", List.of(window.stride, window.stride)),
                x,
                weight,
                bias);
    }

    /** A convolution and its normalization: tracing folds it, the newer exporter does not. */
    String convNorm(String x, long from, long to, Window window) {
        String y = conv(x, from, to, window);
        return net.exporter.traces() ? y : norm(y, to);
    }

    String norm(String x, long channels) {
        return net.call(
                "BatchNormalization",
                node -> node.with("epsilon", 1e-5f).with("momentum", 0.9f),
                x,
                net.around(1, 0.3, channels),
                net.around(0, 0.2, channels),
                net.around(0, 0.2, channels),
                net.around(1, 0.3, channels));
    }

    String relu(String x) {
        return net.call("Relu", x);
    }

    String relu6(String x) {
        return net.call("Clip", x, net.number(0), net.number(6));
    }

    String silu(String x) {
        return net.call("Mul", x, net.call("Sigmoid", x));
    }

    String hardSwish(String x) {
        if (net.exporter.opset >= 14) {
            return net.call("HardSwish", x);
        }
        String shifted = net.call("Add", x, net.number(3));
        String clipped = net.call("Clip", shifted, net.number(0), net.number(6));
        return net.call("Mul", x, net.call("Div", clipped, net.number(6)));
    }

    String hardSigmoid(String x) {
        return net.call("HardSigmoid", node -> node.with("alpha", 1 / 6f).with("beta", 0.5f), x);
    }

    String gelu(String x) {
        if (!net.exporter.traces()) {
            return net.call("Gelu", node -> node.with("approximate", "none"), x);
        }
        String erf = net.call("Erf", net.call("Div", x, net.number(Math.sqrt(2))));
        String product = net.call("Mul", x, net.call("Add", erf, net.number(1)));
        return net.call("Mul", product, net.number(0.5));
    }

    /** GELU by the hyperbolic tangent, spelled out as GPT-2 does. */
    String geluTanh(String x) {
        String cube = net.call("Pow", x, net.number(3));
        String sum = net.call("Add", x, net.call("Mul", cube, net.number(0.044715)));
        String inner = net.call("Tanh", net.call("Mul", sum, net.number(Math.sqrt(2 / Math.PI))));
        return net.call(
                "Mul", net.call("Mul", x, net.number(0.5)), net.call("Add", inner, net.number(1)));
    }

    String maxPool(String x, long kernel, long stride, long padding) {
        return net.call(
                "MaxPool",
                node ->
                        node.with("ceil_mode", 0)
                                .with("kernel_shape", List.of(kernel, kernel))
                                .with("pads", List.of(padding, padding, padding, padding))
                                .with("strides", List.of(stride, stride)),
                x);
    }

    String averagePool(String x, long kernel, long stride, long padding) {
        return net.call(
                "AveragePool",
                node ->
                        node.with("ceil_mode", 0)
                                .with("count_include_pad", 1)
                                .with("kernel_shape", List.of(kernel, kernel))
                                .with("pads", List.of(padding, padding, padding, padding))
                                .with("strides", List.of(stride, stride)),
                x);
    }

    /** The mean of each channel, [N, C, 1, 1]. */
    String means(String x) {
        return net.exporter.traces() ? net.call("GlobalAveragePool", x) : mean(x, true, -1, -2);
    }

    String mean(String x, boolean keeps, long... axes) {
        List<Long> list = new ArrayList<>();
        for (long axis : axes) {
            list.add(axis);
        }
        return net.exporter.opset >= 18
                ? net.call(
                        "ReduceMean",
                        node ->
                                node.with("keepdims", keeps ? 1 : 0)
                                        .with("noop_with_empty_axes", 0),
                        x,
                        net.integers(axes))
                : net.call(
                        "ReduceMean",
                        node -> node.with("axes", list).with("keepdims", keeps ? 1 : 0),
                        x);
    }

    /** What is left of a picture's channels, and a layer on them. */
    String classifier(String x, long channels, long classes) {
        String pooled = means(x);
        String flat =
                net.exporter.traces()
                        ? net.call("Flatten", axis(1), pooled)
                        : net.call("Reshape", pooled, net.integers(-1, channels));
        return dense(flat, channels, classes);
    }

    /** A layer of rows [N, C]. */
    String dense(String x, long from, long to) {
        return net.call(
                "Gemm",
                node -> node.with("alpha", 1f).with("beta", 1f).with("transB", 1),
                x,
                net.weight(1 / Math.sqrt(from), to, from),
                net.around(0, 0.1, to));
    }

    /** A layer of tokens [N, L, C]. */
    String linear(String x, long from, long to) {
        String product = net.call("MatMul", x, net.weight(1 / Math.sqrt(from), from, to));
        String bias = net.around(0, 0.1, to);
        return net.exporter.traces()
                ? net.call("Add", bias, product)
                : net.call("Add", product, bias);
    }

    String layerNorm(String x, long channels) {
        String gain = net.around(1, 0.2, channels);
        String shift = net.around(0, 0.1, channels);
        if (net.exporter.opset >= 17) {
            return net.call(
                    "LayerNormalization",
                    node -> node.with("axis", -1).with("epsilon", 1e-5f),
                    x,
                    gain,
                    shift);
        }
        String centred = net.call("Sub", x, mean(x, true, -1));
        String variance = mean(net.call("Pow", centred, net.number(2)), true, -1);
        String deviation = net.call("Sqrt", net.call("Add", variance, net.number(1e-5)));
        String normal = net.call("Div", centred, deviation);
        return net.call("Add", net.call("Mul", normal, gain), shift);
    }

    String rmsNorm(String x, long channels) {
        String square = mean(net.call("Pow", x, net.number(2)), true, -1);
        String root = net.call("Sqrt", net.call("Add", square, net.number(1e-6)));
        String normal = net.call("Mul", x, net.call("Div", net.number(1), root));
        return net.call("Mul", net.around(1, 0.2, channels), normal);
    }

    String transpose(String x, Long... order) {
        return net.call("Transpose", integers("perm", order), x);
    }

    String reshape(String x, long... shape) {
        return net.call("Reshape", x, net.integers(shape));
    }

    String slice(String x, long from, long to, long axis) {
        return net.call(
                "Slice",
                x,
                net.integers(from),
                net.integers(to),
                net.integers(axis),
                net.integers(1));
    }

    /** One of a value's extents as a row of one number. */
    String extent(String x, long axis) {
        if (!net.exporter.traces()) {
            return net.call("Shape", node -> node.with("start", axis).with("end", axis + 1), x);
        }
        String extent = net.call("Gather", axis(0), net.call("Shape", x), net.integer(axis));
        return net.call("Unsqueeze", extent, net.integers(0));
    }

    String concat(long axis, String... parts) {
        return net.call("Concat", axis(axis), parts);
    }

    String softmax(String x) {
        return net.call("Softmax", axis(-1), x);
    }

    String cast(String x, ElementType type) {
        return net.call("Cast", node -> node.with("to", type.code()), x);
    }

    /** Rows of a table, looked up. */
    String embedding(String ids, long rows, long columns) {
        return net.call("Gather", net.weight(1, rows, columns), ids);
    }

    String yes() {
        return net.constant(ConstantTensor.bytes(ElementType.BOOL, List.of(), (byte) 1));
    }
}
