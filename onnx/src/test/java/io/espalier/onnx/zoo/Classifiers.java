package io.espalier.onnx.zoo;

import static io.espalier.onnx.zoo.Net.axis;

import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.zoo.Layers.Window;

import java.util.List;

/** Networks that classify pictures, small in every extent. */
final class Classifiers {
    private static final String PICTURE = "input: Float[batch, 3, 32, 32]";

    private final Net net;
    private final Layers layers;

    Classifiers(Exporter exporter) {
        net = new Net(exporter);
        layers = new Layers(net);
    }

    private OnnxModel classified(String x, long channels) {
        return net.model(layers.classifier(x, channels, 20));
    }

    private String block(String x, long from, long to, Window window) {
        return layers.relu(layers.convNorm(x, from, to, window));
    }

    OnnxModel alexNet() {
        String x = layers.relu(layers.conv(net.input(PICTURE), 3, 16, new Window(5, 2, 2, 1)));
        x = layers.maxPool(x, 3, 2, 0);
        x = layers.relu(layers.conv(x, 16, 32, Window.THREE));
        x = layers.maxPool(x, 3, 2, 0);
        x = net.call("Flatten", axis(1), x);
        x = layers.relu(layers.dense(x, 32 * 9, 64));
        return net.model(layers.dense(x, 64, 20));
    }

    OnnxModel vgg() {
        String x = net.input(PICTURE);
        long from = 3;
        for (long to : new long[] {16, 32, 32}) {
            x = layers.maxPool(block(x, from, to, Window.THREE), 2, 2, 0);
            from = to;
        }
        x = layers.averagePool(x, 1, 1, 0);
        x = net.call("Flatten", axis(1), x);
        return net.model(layers.dense(layers.relu(layers.dense(x, 512, 64)), 64, 20));
    }

    /** Bottlenecks; with groups it is ResNeXt, or RegNet with its gates. */
    OnnxModel resNet(long groups, boolean gates) {
        String x = layers.maxPool(block(net.input(PICTURE), 3, 16, Window.DOWN), 3, 2, 1);
        long from = 16;
        for (long stride : new long[] {1, 2}) {
            long to = 32 * stride;
            String y = block(x, from, 16 * stride, Window.ONE);
            y = block(y, 16 * stride, 16 * stride, Window.of(3, stride, groups));
            y = gates ? gated(y, 16 * stride) : y;
            y = layers.convNorm(y, 16 * stride, to, Window.ONE);
            String shortcut = layers.convNorm(x, from, to, new Window(1, stride, 0, 1));
            x = layers.relu(net.call("Add", y, shortcut));
            from = to;
        }
        return classified(x, from);
    }

    private String gated(String x, long channels) {
        String y = layers.relu(layers.conv(layers.means(x), channels, 8, Window.ONE));
        return net.call("Mul", net.call("Sigmoid", layers.conv(y, 8, channels, Window.ONE)), x);
    }

    /** Normalized before each convolution, all results joined. */
    OnnxModel denseNet() {
        String x = block(net.input(PICTURE), 3, 16, Window.DOWN);
        long channels = 16;
        for (int i = 0; i < 3; i++) {
            String y = block(layers.relu(layers.norm(x, channels)), channels, 16, Window.ONE);
            x = layers.concat(1, x, layers.conv(y, 16, 8, Window.THREE));
            channels += 8;
        }
        x = layers.conv(layers.relu(layers.norm(x, channels)), channels, 20, Window.ONE);
        x = layers.averagePool(x, 2, 2, 0);
        return classified(layers.relu(layers.norm(x, 20)), 20);
    }

    OnnxModel squeezeNet() {
        String x = layers.relu(layers.conv(net.input(PICTURE), 3, 16, Window.DOWN));
        for (int i = 0; i < 2; i++) {
            String narrow = layers.relu(layers.conv(x, i == 0 ? 16 : 32, 8, Window.ONE));
            x =
                    layers.concat(
                            1,
                            layers.relu(layers.conv(narrow, 8, 16, Window.ONE)),
                            layers.relu(layers.conv(narrow, 8, 16, Window.THREE)));
        }
        x = layers.means(layers.relu(layers.conv(x, 32, 20, Window.ONE)));
        return net.model(net.call("Flatten", axis(1), x));
    }

    /** Branches, kernels longer than high, means over windows that count the padding. */
    OnnxModel inception() {
        String x = block(net.input(PICTURE), 3, 16, Window.DOWN);
        String first = block(x, 16, 16, Window.ONE);
        String second = row(row(block(x, 16, 8, Window.ONE), 8, 1, 7), 8, 7, 1);
        String third = block(block(x, 16, 8, Window.ONE), 8, 16, Window.THREE);
        String fourth = block(layers.averagePool(x, 3, 1, 1), 16, 8, Window.ONE);
        x = layers.concat(1, first, second, third, fourth);
        return classified(x, 48);
    }

    private String row(String x, long channels, long height, long width) {
        String weight =
                net.weight(Math.sqrt(2.0 / (channels * 7)), channels, channels, height, width);
        String y =
                net.call(
                        "Conv",
                        node ->
                                node.with("kernel_shape", List.of(height, width))
                                        .with(
                                                "pads",
                                                List.of(
                                                        height / 2,
                                                        width / 2,
                                                        height / 2,
                                                        width / 2)),
                        x,
                        weight);
        return layers.relu(layers.norm(y, channels));
    }

    /** Halves of the channels, shuffled by a Reshape and a Transpose. */
    OnnxModel shuffleNet() {
        String x = block(net.input(PICTURE), 3, 32, Window.DOWN);
        for (int i = 0; i < 2; i++) {
            List<String> halves = halves(x);
            String y = block(halves.get(1), 16, 16, Window.ONE);
            y = layers.convNorm(y, 16, 16, Window.of(3, 1, 16));
            y = block(y, 16, 16, Window.ONE);
            x = shuffled(layers.concat(1, halves.get(0), y));
        }
        return classified(block(x, 32, 48, Window.ONE), 48);
    }

    private List<String> halves(String x) {
        return net.exporter.traces()
                ? List.of(layers.slice(x, 0, 16, 1), layers.slice(x, 16, 32, 1))
                : net.calls("Split", 2, node -> node.with("axis", 1).with("num_outputs", 2), x);
    }

    private String shuffled(String x) {
        String groups =
                layers.concat(
                        0,
                        layers.extent(x, 0),
                        net.integers(2),
                        net.integers(16),
                        layers.extent(x, 2),
                        layers.extent(x, 3));
        String y = layers.transpose(net.call("Reshape", x, groups), 0L, 2L, 1L, 3L, 4L);
        String flat =
                layers.concat(
                        0,
                        layers.extent(x, 0),
                        net.integers(-1),
                        layers.extent(x, 2),
                        layers.extent(x, 3));
        return net.call("Reshape", y, flat);
    }

    OnnxModel mobileNetV1() {
        String x = block(net.input(PICTURE), 3, 16, Window.DOWN);
        x = block(block(x, 16, 16, Window.of(3, 1, 16)), 16, 32, Window.ONE);
        x = block(block(x, 32, 32, Window.of(3, 2, 32)), 32, 48, Window.ONE);
        return classified(x, 48);
    }

    OnnxModel mobileNetV2() {
        String x = layers.relu6(layers.convNorm(net.input(PICTURE), 3, 16, Window.DOWN));
        for (int i = 0; i < 2; i++) {
            String y = layers.relu6(layers.convNorm(x, 16, 48, Window.ONE));
            y = layers.relu6(layers.convNorm(y, 48, 48, Window.of(3, 1, 48)));
            x = net.call("Add", x, layers.convNorm(y, 48, 16, Window.ONE));
        }
        return classified(layers.relu6(layers.convNorm(x, 16, 64, Window.ONE)), 64);
    }

    OnnxModel mobileNetV3() {
        String x = layers.hardSwish(layers.convNorm(net.input(PICTURE), 3, 16, Window.DOWN));
        for (int i = 0; i < 2; i++) {
            String y = layers.hardSwish(layers.convNorm(x, 16, 48, Window.ONE));
            y = layers.hardSwish(layers.convNorm(y, 48, 48, Window.of(5, 1, 48)));
            String gate = layers.relu(layers.conv(layers.means(y), 48, 16, Window.ONE));
            gate = layers.hardSigmoid(layers.conv(gate, 16, 48, Window.ONE));
            y = layers.convNorm(net.call("Mul", gate, y), 48, 16, Window.ONE);
            x = net.call("Add", y, x);
        }
        String flat = net.call("Flatten", axis(1), layers.means(x));
        return net.model(layers.dense(layers.hardSwish(layers.dense(flat, 16, 64)), 64, 20));
    }

    OnnxModel efficientNet() {
        String x = layers.silu(layers.convNorm(net.input(PICTURE), 3, 16, Window.DOWN));
        for (int i = 0; i < 2; i++) {
            String y = layers.silu(layers.convNorm(x, 16, 48, Window.ONE));
            y = layers.silu(layers.convNorm(y, 48, 48, Window.of(3, 1, 48)));
            String gate = layers.silu(layers.conv(layers.means(y), 48, 8, Window.ONE));
            gate = net.call("Sigmoid", layers.conv(gate, 8, 48, Window.ONE));
            y = layers.convNorm(net.call("Mul", gate, y), 48, 16, Window.ONE);
            x = net.call("Add", y, x);
        }
        return classified(layers.silu(layers.convNorm(x, 16, 64, Window.ONE)), 64);
    }

    /** Cheap maps made of others by a convolution of each. */
    OnnxModel ghostNet() {
        String x = block(net.input(PICTURE), 3, 16, Window.DOWN);
        for (int i = 0; i < 2; i++) {
            String half = block(x, 16, 8, Window.ONE);
            String y = layers.concat(1, half, block(half, 8, 8, Window.of(3, 1, 8)));
            x = net.call("Add", layers.slice(y, 0, 16, 1), x);
        }
        return classified(x, 16);
    }

    /** Wide windows of each channel, then layers over channels last, scaled. */
    OnnxModel convNeXt() {
        String x = layers.conv(net.input(PICTURE), 3, 16, new Window(4, 4, 0, 1));
        x = layers.transpose(x, 0L, 2L, 3L, 1L);
        x = layers.transpose(layers.layerNorm(x, 16), 0L, 3L, 1L, 2L);
        for (int i = 0; i < 2; i++) {
            String y = layers.conv(x, 16, 16, Window.of(7, 1, 16));
            y = layers.layerNorm(layers.transpose(y, 0L, 2L, 3L, 1L), 16);
            y = layers.linear(layers.gelu(layers.linear(y, 16, 64)), 64, 16);
            y = layers.transpose(y, 0L, 3L, 1L, 2L);
            x = net.call("Add", net.call("Mul", net.weight(0.3, 16, 1, 1), y), x);
        }
        String pooled = layers.means(x);
        String flat = net.call("Flatten", axis(1), pooled);
        return net.model(layers.dense(layers.layerNorm(flat, 16), 16, 20));
    }

    /** Means of neighbours in the place of attention. */
    OnnxModel poolFormer() {
        String x = layers.conv(net.input(PICTURE), 3, 16, new Window(7, 4, 2, 1));
        for (int i = 0; i < 2; i++) {
            String y = layers.norm(x, 16);
            x = net.call("Add", x, net.call("Sub", layers.averagePool(y, 3, 1, 1), y));
            y = layers.gelu(layers.conv(layers.norm(x, 16), 16, 64, Window.ONE));
            x = net.call("Add", x, layers.conv(y, 64, 16, Window.ONE));
        }
        return classified(x, 16);
    }

    /** Two resolutions that exchange what they have. */
    OnnxModel hrNet() {
        String fine = block(net.input(PICTURE), 3, 16, Window.DOWN);
        String coarse = block(fine, 16, 32, Window.DOWN);
        String up = layers.convNorm(coarse, 32, 16, Window.ONE);
        up = Shapers.enlarged(net, up, "nearest");
        String down = layers.convNorm(fine, 16, 32, Window.DOWN);
        fine = layers.relu(net.call("Add", fine, up));
        coarse = layers.relu(net.call("Add", coarse, down));
        return classified(layers.concat(1, block(fine, 16, 32, Window.DOWN), coarse), 64);
    }
}
