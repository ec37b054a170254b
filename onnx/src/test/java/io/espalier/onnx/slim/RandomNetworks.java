package io.espalier.onnx.slim;

import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.function.UnaryOperator;

/** Small networks whose channels are joined, divided, moved and met, in an order from a seed. */
final class RandomNetworks {
    private static final int LAYERS = 12;

    private record Value(String name, int channels) {}

    private final Random random;
    private final TestGraphs graph =
            TestGraphs.opset(17)
                    .input("x: Float[N, 3, 4, 4]")
                    .integers("flat", 0, -1, 4, 4)
                    .integers("one", 1);
    private final List<Value> values = new ArrayList<>();
    private int names;

    private RandomNetworks(long seed) {
        // Seeds that follow each other begin with nearly the same draw.
        random = new Random(seed * 0x9E3779B97F4A7C15L);
    }

    /** A network of an input {@code x} [N, 3, 4, 4]. */
    static OnnxModel of(long seed) {
        return new RandomNetworks(seed).build();
    }

    private OnnxModel build() {
        values.add(conv(new Value("x", 3), 16, 1));
        for (int i = 0; i < LAYERS; i++) {
            values.add(layer(pick()));
        }
        Value last = conv(values.getLast(), 5, 1);
        Value other = conv(pick(), 5, 1);
        return graph.node("y = Add(" + last.name() + ", " + other.name() + ")").output("y").build();
    }

    /** Mostly the newest value, so that chains arise. */
    private Value pick() {
        return values.get(
                random.nextInt(3) > 0 ? values.size() - 1 : random.nextInt(values.size()));
    }

    private String fresh() {
        return "v" + ++names;
    }

    private Value layer(Value x) {
        int c = x.channels();
        return switch (random.nextInt(14)) {
            case 0 -> conv(x, 8 + 4 * random.nextInt(3), 1);
            case 1 -> c % 4 == 0 ? conv(x, 16, random.nextBoolean() ? 4 : 2) : conv(x, 16, 1);
            case 2 -> conv(x, c, c);
            case 3 -> added(x);
            case 4 -> joined(x, pick());
            case 5 -> half(x);
            case 6 -> c % 4 == 0 ? shuffled(x) : conv(x, 12, 1);
            case 7 -> gated(x);
            case 8 -> new Value(call("Sigmoid", n -> n, x), c);
            case 9 -> normalized(x);
            case 10 -> chosen(x);
            case 11 -> c % 4 == 0 ? attended(x) : conv(x, 8, 1);
            case 12 -> scaled(x);
            default -> padded(x);
        };
    }

    private String call(String op, UnaryOperator<OnnxNode> attributes, Value... inputs) {
        String y = fresh();
        String operands = String.join(", ", List.of(inputs).stream().map(Value::name).toList());
        graph.node(y + " = " + op + "(" + operands + ")", attributes);
        return y;
    }

    private Value weight(long... extents) {
        String name = fresh();
        graph.weight(name, extents);
        return new Value(name, 0);
    }

    private Value list(long... numbers) {
        String name = fresh();
        graph.integers(name, numbers);
        return new Value(name, 0);
    }

    private Value conv(Value x, int to, int groups) {
        Value w = weight(to, x.channels() / groups, 1, 1);
        return new Value(call("Conv", n -> n.with("group", groups), x, w, weight(to)), to);
    }

    private Value added(Value x) {
        List<Value> alike = values.stream().filter(v -> v.channels() == x.channels()).toList();
        Value other = alike.get(random.nextInt(alike.size()));
        return new Value(call("Add", n -> n, x, other), x.channels());
    }

    private Value joined(Value x, Value other) {
        String y = call("Concat", n -> n.with("axis", 1), x, other);
        return new Value(y, x.channels() + other.channels());
    }

    private Value half(Value x) {
        int from = random.nextInt(x.channels() / 2);
        int to = from + x.channels() / 2;
        Value y = new Value(fresh(), to - from);
        graph.node(
                "%s = Slice(%s, %s, %s, one)"
                        .formatted(y.name(), x.name(), list(from).name(), list(to).name()));
        return y;
    }

    /** Neighbours in groups of four, whichever dimension comes first. */
    private Value shuffled(Value x) {
        int rows = random.nextBoolean() ? 4 : x.channels() / 4;
        Value table =
                new Value(call("Reshape", n -> n, x, list(0, rows, x.channels() / rows, 16)), 0);
        Value turned =
                new Value(
                        call("Transpose", n -> n.with("perm", List.of(0L, 2L, 1L, 3L)), table), 0);
        return new Value(call("Reshape", n -> n, turned, new Value("flat", 0)), x.channels());
    }

    private Value gated(Value x) {
        Value mean = new Value(call("GlobalAveragePool", n -> n, x), x.channels());
        Value gate = conv(conv(mean, 8, 1), x.channels(), 1);
        Value open = new Value(call("Sigmoid", n -> n, gate), 0);
        return new Value(call("Mul", n -> n, x, open), x.channels());
    }

    private Value normalized(Value x) {
        int c = x.channels();
        Value last =
                new Value(call("Transpose", n -> n.with("perm", List.of(0L, 2L, 3L, 1L)), x), 0);
        Value same = new Value(call("LayerNormalization", n -> n, last, weight(c), weight(c)), 0);
        return new Value(call("Transpose", n -> n.with("perm", List.of(0L, 3L, 1L, 2L)), same), c);
    }

    private Value chosen(Value x) {
        long[] indices = random.longs(8, 0, x.channels()).toArray();
        return new Value(call("Gather", n -> n.with("axis", 1), x, list(indices)), 8);
    }

    /** Heads of channels look at each other at each place. */
    private Value attended(Value x) {
        Value heads = new Value(call("Reshape", n -> n, x, list(0, 4, x.channels() / 4, 16)), 0);
        Value keys =
                new Value(
                        call("Transpose", n -> n.with("perm", List.of(0L, 1L, 3L, 2L)), heads), 0);
        Value looks =
                new Value(
                        call("Softmax", n -> n, new Value(call("MatMul", n -> n, keys, heads), 0)),
                        0);
        Value seen = new Value(call("MatMul", n -> n, heads, looks), 0);
        return new Value(call("Reshape", n -> n, seen, new Value("flat", 0)), x.channels());
    }

    private Value scaled(Value x) {
        return new Value(call("Mul", n -> n, x, weight(x.channels(), 1, 1)), x.channels());
    }

    private Value padded(Value x) {
        Value pads = list(0, 2, 0, 0, 0, 1, 0, 0);
        return new Value(call("Pad", n -> n, x, pads), x.channels() + 3);
    }
}
