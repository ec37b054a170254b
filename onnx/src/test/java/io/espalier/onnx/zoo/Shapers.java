package io.espalier.onnx.zoo;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.zoo.Layers.Window;

import java.util.List;

/** Networks whose results are pictures, boxes, sounds or sequences. */
final class Shapers {
    private final Net net;
    private final Layers layers;

    Shapers(Exporter exporter) {
        net = new Net(exporter);
        layers = new Layers(net);
    }

    private String block(String x, long from, long to, Window window) {
        return layers.relu(layers.convNorm(x, from, to, window));
    }

    /** Twice as high and wide. */
    static String enlarged(Net net, String x, String mode) {
        String scales = net.constant(ConstantTensor.floats(List.of(4L), 1, 1, 2, 2));
        return net.call(
                "Resize",
                node ->
                        node.with("coordinate_transformation_mode", "asymmetric")
                                .with("mode", mode)
                                .with("nearest_mode", "floor"),
                x,
                "",
                scales);
    }

    /** Down and up again, with what was there on the way down. */
    OnnxModel uNet() {
        String x = block(net.input("image: Float[batch, 1, 32, 32]"), 1, 16, Window.THREE);
        String y = block(layers.maxPool(x, 2, 2, 0), 16, 32, Window.THREE);
        y =
                net.call(
                        "ConvTranspose",
                        node ->
                                node.with("kernel_shape", List.of(2L, 2L))
                                        .with("strides", List.of(2L, 2L)),
                        y,
                        net.weight(0.15, 32, 16, 2, 2),
                        net.around(0, 0.1, 16));
        y = block(layers.concat(1, x, y), 32, 16, Window.THREE);
        return net.model(net.call("Sigmoid", layers.conv(y, 16, 2, Window.ONE)));
    }

    /** Levels of a pyramid, the sizes of which are read from the picture. */
    OnnxModel pyramid() {
        String x = block(net.input("image: Float[1, 3, height, width]"), 3, 16, Window.DOWN);
        String y = block(x, 16, 32, Window.DOWN);
        String fine = layers.conv(x, 16, 24, Window.ONE);
        String coarse = layers.conv(y, 32, 24, Window.ONE);
        String sizes =
                layers.concat(
                        0,
                        layers.slice(net.call("Shape", coarse), 0, 2, 0),
                        layers.extent(fine, 2),
                        layers.extent(fine, 3));
        String up =
                net.call(
                        "Resize",
                        node ->
                                node.with("coordinate_transformation_mode", "asymmetric")
                                        .with("mode", "nearest")
                                        .with("nearest_mode", "floor"),
                        coarse,
                        "",
                        "",
                        sizes);
        fine = layers.conv(net.call("Add", fine, up), 24, 24, Window.THREE);
        return net.model(
                layers.conv(fine, 24, 4, Window.ONE), layers.conv(coarse, 24, 4, Window.ONE));
    }

    /** Boxes, of which the best that overlap little are chosen in the graph. */
    OnnxModel detector() {
        String x = block(net.input("image: Float[1, 3, 32, 32]"), 3, 16, Window.DOWN);
        x = block(x, 16, 32, Window.DOWN);
        String boxes = layers.reshape(layers.conv(x, 32, 4, Window.ONE), 1, 4, 64);
        boxes = net.call("Sigmoid", layers.transpose(boxes, 0L, 2L, 1L));
        String scores = layers.reshape(layers.conv(x, 32, 3, Window.ONE), 1, 3, 64);
        scores = net.call("Sigmoid", scores);
        String chosen =
                net.call(
                        "NonMaxSuppression",
                        boxes,
                        scores,
                        net.integers(10),
                        net.constant(ConstantTensor.floats(List.of(1L), 0.5f)),
                        net.constant(ConstantTensor.floats(List.of(1L), 0.3f)));
        return net.model(boxes, scores, chosen);
    }

    /** SiLU, halves of channels, poolings joined, two scales joined. */
    OnnxModel yolo() {
        String x =
                layers.silu(
                        layers.convNorm(
                                net.input("images: Float[1, 3, 32, 32]"), 3, 16, Window.DOWN));
        x = layers.silu(layers.convNorm(x, 16, 32, Window.DOWN));
        List<String> halves =
                net.exporter.opset >= 18
                        ? net.calls("Split", 2, n -> n.with("axis", 1).with("num_outputs", 2), x)
                        : net.calls("Split", 2, Net.axis(1), x, net.integers(16, 16));
        String y = layers.silu(layers.convNorm(halves.get(1), 16, 16, Window.THREE));
        x = layers.concat(1, halves.get(0), halves.get(1), net.call("Add", y, halves.get(1)));
        x = layers.silu(layers.convNorm(x, 48, 32, Window.ONE));
        String a = layers.maxPool(x, 5, 1, 2);
        String b = layers.maxPool(a, 5, 1, 2);
        x = layers.silu(layers.convNorm(layers.concat(1, x, a, b), 96, 32, Window.ONE));
        String up = enlarged(net, x, "nearest");
        String near = layers.reshape(layers.conv(up, 32, 8, Window.ONE), 1, 8, -1);
        String far = layers.reshape(layers.conv(x, 32, 8, Window.ONE), 1, 8, -1);
        String all = layers.concat(2, near, far);
        String boxes = layers.slice(all, 0, 4, 1);
        String classes = net.call("Sigmoid", layers.slice(all, 4, 8, 1));
        return net.model(layers.concat(1, net.call("Mul", boxes, net.number(4)), classes));
    }

    /** A line of text read by two directions of LSTM. */
    OnnxModel lineReader(String cell) {
        String x = block(net.input("line: Float[batch, 1, 16, 64]"), 1, 16, Window.THREE);
        x = layers.maxPool(block(layers.maxPool(x, 2, 2, 0), 16, 32, Window.THREE), 2, 2, 0);
        x = layers.mean(x, false, 2);
        x = layers.transpose(x, 2L, 0L, 1L);
        long gates = cell.equals("LSTM") ? 4 : 3;
        x =
                net.calls(
                                cell,
                                1,
                                node ->
                                        cell.equals("GRU")
                                                ? node.with("direction", "bidirectional")
                                                        .with("hidden_size", 16)
                                                        .with("linear_before_reset", 1)
                                                : node.with("direction", "bidirectional")
                                                        .with("hidden_size", 16),
                                x,
                                net.weight(0.2, 2, gates * 16, 32),
                                net.weight(0.2, 2, gates * 16, 16),
                                net.weight(0.1, 2, 2 * gates * 16))
                        .getFirst();
        x = layers.transpose(x, 0L, 2L, 1L, 3L);
        String shape = layers.concat(0, net.integers(0), net.integers(0), net.integers(-1));
        x = layers.linear(net.call("Reshape", x, shape), 32, 40);
        return net.model(layers.transpose(layers.softmax(x), 1L, 0L, 2L));
    }

    /** Convolutions along time. */
    OnnxModel sound() {
        String x = net.input("wave: Float[batch, 1, 320]");
        long from = 1;
        for (long to : new long[] {16, 32}) {
            x = layers.gelu(line(x, from, to, 8, 4));
            from = to;
        }
        x = layers.transpose(x, 0L, 2L, 1L);
        return net.model(layers.linear(layers.layerNorm(x, 32), 32, 24));
    }

    private String line(String x, long from, long to, long kernel, long stride) {
        return net.call(
                "Conv",
                node -> node.with("kernel_shape", List.of(kernel)).with("strides", List.of(stride)),
                x,
                net.weight(Math.sqrt(2.0 / (from * kernel)), to, from, kernel),
                net.around(0, 0.1, to));
    }

    OnnxModel video() {
        String x = net.input("clip: Float[batch, 3, 4, 16, 16]");
        String weight = net.weight(0.15, 16, 3, 3, 3, 3);
        x =
                net.call(
                        "Conv",
                        node ->
                                node.with("kernel_shape", List.of(3L, 3L, 3L))
                                        .with("pads", List.of(1L, 1L, 1L, 1L, 1L, 1L)),
                        x,
                        weight,
                        net.around(0, 0.1, 16));
        x = layers.relu(layers.norm(x, 16));
        x =
                net.call(
                        "MaxPool",
                        node ->
                                node.with("kernel_shape", List.of(2L, 2L, 2L))
                                        .with("strides", List.of(2L, 2L, 2L)),
                        x);
        x = net.call("Flatten", Net.axis(1), net.call("GlobalAveragePool", x));
        return net.model(layers.dense(x, 16, 20));
    }

    OnnxModel autoencoder() {
        String x = net.input("row: Float[batch, 64]");
        x = layers.relu(layers.dense(x, 64, 32));
        String code = layers.dense(x, 32, 16);
        String y = net.call("Tanh", layers.dense(layers.relu(layers.dense(code, 16, 32)), 32, 64));
        return net.model(y, code);
    }
}
