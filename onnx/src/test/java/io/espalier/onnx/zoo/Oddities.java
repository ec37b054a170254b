package io.espalier.onnx.zoo;

import static io.espalier.onnx.zoo.Net.axis;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.zoo.Layers.Window;

import java.util.List;

/** Models that are no usual network. */
final class Oddities {
    private final Net net;
    private final Layers layers;

    Oddities(Exporter exporter) {
        net = new Net(exporter);
        layers = new Layers(net);
    }

    /** Categories looked up, summed, and joined with numbers. */
    OnnxModel recommender() {
        String user = layers.embedding(net.input("user: Int64[batch]"), 64, 32);
        String items = layers.embedding(net.input("items: Int64[batch, 5]"), 96, 32);
        String sum =
                net.exporter.opset >= 13
                        ? net.call("ReduceSum", n -> n.with("keepdims", 0), items, net.integers(1))
                        : layers.mean(items, false, 1);
        String x = layers.concat(1, user, sum, net.input("numbers: Float[batch, 8]"));
        x = layers.relu(layers.dense(x, 72, 64));
        return net.model(net.call("Sigmoid", layers.dense(x, 64, 1)));
    }

    OnnxModel tabular() {
        String x = layers.norm(net.input("rows: Float[batch, 24]"), 24);
        x = layers.relu(layers.dense(x, 24, 64));
        x = net.call("Identity", layers.relu(layers.dense(x, 64, 32)));
        String scores = layers.softmax(layers.dense(x, 32, 4));
        return net.model(
                scores, net.call("ArgMax", n -> n.with("axis", 1).with("keepdims", 0), scores));
    }

    /** A result of integers alone. */
    OnnxModel labels() {
        String x =
                layers.relu(layers.conv(net.input("x: Float[1, 3, 16, 16]"), 3, 32, Window.THREE));
        x = layers.conv(x, 32, 20, Window.ONE);
        return net.model(net.call("ArgMax", n -> n.with("axis", 1).with("keepdims", 0), x));
    }

    OnnxModel doubles() {
        String x = net.input("x: Double[batch, 16]");
        double[] numbers = new double[16 * 16];
        for (int i = 0; i < numbers.length; i++) {
            numbers[i] = Math.sin(i) / 4;
        }
        String weight = net.initializer("weight", Doubles.of(List.of(16L, 16L), numbers));
        return net.model(net.call("Tanh", net.call("MatMul", x, weight)));
    }

    /** Weights in 16 bits, made longer before they are used. */
    OnnxModel halves() {
        String x = net.input("x: Float[batch, 32]");
        String weight = net.initializer("weight", Doubles.halves(List.of(32L, 32L)));
        String y = net.call("MatMul", x, layers.cast(weight, ElementType.FLOAT));
        return net.model(layers.relu(y));
    }

    /** All in 16 bits. */
    OnnxModel allHalves() {
        String x = net.input("x: Float16[batch, 32]");
        String y =
                net.call("MatMul", x, net.initializer("weight", Doubles.halves(List.of(32L, 32L))));
        return net.model(net.call("Relu", y));
    }

    /** Neither weights nor a batch. */
    OnnxModel plain() {
        String x = net.input("x: Float[]");
        return net.model(net.call("Exp", x));
    }

    /** A result that is an input, and one that is a constant. */
    OnnxModel passed() {
        String x = net.input("x: Float[2, 16]");
        String w = net.weight(0.3, 16, 16);
        String y = net.call("MatMul", x, w);
        return net.model(y, x, w);
    }

    OnnxModel empty() {
        String x = net.input("x: Float[batch, 16]");
        String none = layers.slice(x, 0, 0, 1);
        String y = layers.concat(1, x, none);
        return net.model(layers.dense(y, 16, 16), none);
    }

    /** One of two networks, as the input says. */
    OnnxModel branches() {
        String x = net.input("x: Float[batch, 32]");
        String mean = net.call("ReduceMax", n -> n.with("keepdims", 0), x);
        String positive = net.call("Greater", mean, net.number(0));
        Net then = net.inner();
        String a = new Layers(then).dense(x, 32, 32);
        Net other = net.inner();
        String b = other.call("Neg", x);
        String y =
                net.call(
                        "If",
                        n ->
                                n.with("then_branch", then.graph(a))
                                        .with("else_branch", other.graph(b)),
                        positive);
        return net.model(layers.dense(layers.relu(y), 32, 20));
    }

    /** A cell that is run so often as the input is long. */
    OnnxModel loop() {
        String x = net.input("x: Float[batch, 16]");
        String count = net.call("Squeeze", layers.extent(x, 0), net.integers(0));
        Net body = net.inner();
        var inside = new Layers(body);
        body.input("step: Int64[]");
        String go = body.input("go: Bool[]");
        String state = body.input("state: Float[batch, 16]");
        String next = body.call("Tanh", body.call("MatMul", state, net.weight(0.2, 16, 16)));
        String goes = body.call("Identity", go);
        String y =
                net.call(
                        "Loop",
                        n -> n.with("body", body.graph(goes, inside.relu(next))),
                        count,
                        layers.yes(),
                        x);
        return net.model(layers.dense(y, 16, 20));
    }

    /** Sequence to sequence: a reader's state starts a writer. */
    OnnxModel translator() {
        String x = layers.embedding(net.input("source: Int64[batch, length]"), 40, 16);
        List<String> read = recurrent(layers.transpose(x, 1L, 0L, 2L), "", "");
        String z = layers.embedding(net.input("target: Int64[batch, written]"), 40, 16);
        List<String> written = recurrent(layers.transpose(z, 1L, 0L, 2L), read.get(1), read.get(2));
        String y = net.call("Squeeze", written.get(0), net.integers(1));
        return net.model(layers.linear(layers.transpose(y, 1L, 0L, 2L), 16, 40));
    }

    private List<String> recurrent(String x, String hidden, String cell) {
        return net.calls(
                "LSTM",
                3,
                n -> n.with("hidden_size", 16),
                x,
                net.weight(0.25, 1, 64, 16),
                net.weight(0.25, 1, 64, 16),
                net.weight(0.1, 1, 128),
                "",
                hidden,
                cell);
    }

    /** What exporters leave: dropouts that drop nothing, casts to the same, identities. */
    OnnxModel leftovers() {
        String x = net.input("x: Float[batch, 3, 8, 8]");
        String y =
                net.call(
                        "Dropout",
                        layers.conv(x, 3, 16, Window.THREE),
                        net.number(0),
                        layers.yes());
        y = layers.cast(layers.relu(net.call("Identity", y)), ElementType.FLOAT);
        String zeros =
                net.call(
                        "ConstantOfShape",
                        n -> n.with("value", ConstantTensor.floats(List.of(1L), 0)),
                        net.call("Shape", y));
        y = net.call("Add", y, zeros);
        y = net.call("Unsqueeze", net.call("Flatten", axis(1), y), net.integers(1));
        return net.model(layers.linear(net.call("Squeeze", y, net.integers(1)), 1024, 20));
    }

    /** Elements put in place, rows taken by several indices, masks applied. */
    OnnxModel scatters() {
        String x = net.input("x: Float[4, 16]");
        String places = net.constant(ConstantTensor.longs(List.of(2L, 1L), 0, 2));
        String y = net.call("ScatterND", x, places, net.weight(1, 2, 16));
        y = net.call("Where", net.call("Greater", y, net.number(0)), y, net.call("Neg", y));
        y = net.call("GatherND", y, places);
        return net.model(layers.dense(y, 16, 16));
    }

    /** Parts of a picture in a list, between convolutions. */
    OnnxModel sequences() {
        String x =
                layers.relu(layers.conv(net.input("x: Float[1, 3, 16, 16]"), 3, 32, Window.THREE));
        String parts = net.call("SplitToSequence", n -> n.with("axis", 1), x, net.integer(16));
        String first = net.call("SequenceAt", parts, net.integer(0));
        String y = layers.relu(layers.conv(first, 16, 32, Window.THREE));
        y = layers.conv(net.call("Add", y, x), 32, 32, Window.THREE);
        String last = net.call("SequenceAt", parts, net.integer(-1));
        return net.model(layers.conv(layers.concat(1, y, last), 48, 16, Window.ONE));
    }

    /** A picture in 16 bits. */
    OnnxModel halfPicture() {
        String x = net.input("x: Float16[1, 32, 8, 8]");
        String weight = net.initializer("weight", Doubles.halves(List.of(32L, 32L, 1L, 1L)));
        String y = net.call("Relu", net.call("Conv", x, weight));
        return net.model(net.call("Conv", y, weight), net.call("GlobalAveragePool", y));
    }

    /** Layers that functions of the file stand for. */
    OnnxModel functions() {
        String x = net.input("x: Float[batch, 32]");
        String y = net.call("Relu", layers.dense(x, 32, 64));
        return Functions.calling(net.model(layers.dense(y, 64, 20)));
    }

    /** One layer for several branches, and one constant for both of its own operands. */
    OnnxModel shared() {
        String weight = net.weight(0.2, 32, 32);
        String a = net.call("MatMul", net.input("a: Float[batch, 32]"), weight);
        String b = net.call("MatMul", net.input("b: Float[batch, 32]"), weight);
        String c = net.call("MatMul", net.call("Relu", a), net.call("Mul", weight, weight));
        return net.model(net.call("Add", net.call("Add", a, b), c), a);
    }

    /** Two recurrent layers with weights enough to be worth keeping small. */
    OnnxModel recurrentLayers() {
        String x = net.input("x: Float[7, 4, 24]");
        for (int from : new int[] {24, 32}) {
            List<String> y =
                    net.calls(
                            "GRU",
                            2,
                            n -> n.with("hidden_size", 32).with("linear_before_reset", 1),
                            x,
                            net.weight(0.2, 1, 96, from),
                            net.weight(0.2, 1, 96, 32),
                            net.weight(0.1, 1, 192));
            x = net.call("Squeeze", y.get(0), net.integers(1));
        }
        return net.model(layers.linear(x, 32, 24));
    }
}
