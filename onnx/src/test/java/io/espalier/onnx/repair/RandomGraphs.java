package io.espalier.onnx.repair;

import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/** Small networks of what passes look for, in an order drawn from a seed. */
final class RandomGraphs {
    private static final long CHANNELS = 4;
    private static final int LAYERS = 14;

    private final Random random;
    private final TestGraphs graphs;
    private final List<String> values = new ArrayList<>(List.of("x"));
    private int names;

    private RandomGraphs(long seed) {
        // Seeds that follow each other begin with nearly the same draw.
        random = new Random(seed * 0x9E3779B97F4A7C15L);
        graphs =
                TestGraphs.opset(11 + random.nextInt(8))
                        .input("x: Float[N, 4, 6, 6]")
                        .constant("zero", ConstantTensor.scalar(0))
                        .constant("half", ConstantTensor.scalar(0.5f))
                        .constant("one", ConstantTensor.scalar(1))
                        .constant("three", ConstantTensor.scalar(3))
                        .constant("six", ConstantTensor.scalar(6))
                        .constant("root", ConstantTensor.scalar((float) Math.sqrt(2)));
    }

    /** A network of an input {@code x} [N, 4, 6, 6]. */
    static OnnxModel of(long seed) {
        return new RandomGraphs(seed).build();
    }

    private OnnxModel build() {
        for (int i = 0; i < LAYERS; i++) {
            values.add(layer(pick()));
        }
        graphs.output(values.getLast());
        String other = values.get(1 + random.nextInt(LAYERS));
        if (!other.equals(values.getLast()) && !other.equals("x")) {
            graphs.output(other);
        }
        return graphs.build();
    }

    /** Mostly the newest value, so that chains arise. */
    private String pick() {
        return values.get(
                random.nextInt(4) > 0 ? values.size() - 1 : random.nextInt(values.size()));
    }

    private String fresh() {
        return "v" + ++names;
    }

    private String layer(String x) {
        return switch (random.nextInt(13)) {
            case 0, 1 -> conv(x);
            case 2 -> normalization(x);
            case 3, 4, 5 -> arithmetic(x);
            case 6 -> hardSwish(x);
            case 7 -> gelu(x);
            case 8 -> call("Relu", x);
            case 9 -> call("Identity", x);
            case 10 -> transposed(x);
            case 11 -> call("Add", x, pick());
            default -> reshaped(x);
        };
    }

    private String call(String op, String... inputs) {
        String y = fresh();
        graphs.node(y + " = " + op + "(" + String.join(", ", inputs) + ")");
        return y;
    }

    private String weight(long... extents) {
        String name = fresh();
        graphs.weight(name, extents);
        return name;
    }

    private String conv(String x) {
        long groups = List.of(1L, 2L, 4L).get(random.nextInt(3));
        boolean wide = random.nextBoolean();
        String w = weight(CHANNELS, CHANNELS / groups, wide ? 3 : 1, wide ? 3 : 1);
        String y = fresh();
        String bias = random.nextBoolean() ? ", " + weight(CHANNELS) : "";
        graphs.node(
                y + " = Conv(" + x + ", " + w + bias + ")",
                node -> {
                    OnnxNode grouped = node.with("group", groups);
                    return wide ? grouped.with("pads", List.of(1L, 1L, 1L, 1L)) : grouped;
                });
        return halved(y);
    }

    /** Keeps numbers from growing with depth. */
    private String halved(String x) {
        return random.nextBoolean() ? call("Mul", x, "half") : x;
    }

    private String normalization(String x) {
        String variance = fresh();
        graphs.floats(variance, 4, 5, 6, 7);
        return call(
                "BatchNormalization",
                x,
                weight(CHANNELS),
                weight(CHANNELS),
                weight(CHANNELS),
                variance);
    }

    private String arithmetic(String x) {
        String constant =
                switch (random.nextInt(4)) {
                    case 0 -> random.nextBoolean() ? "one" : "zero";
                    case 1 -> weight(CHANNELS, 1, 1);
                    case 2 -> weight(1);
                    default -> weight(1, CHANNELS, 1, 1);
                };
        String op = List.of("Mul", "Add", "Sub").get(random.nextInt(3));
        return random.nextBoolean() ? call(op, x, constant) : call(op, constant, x);
    }

    private String hardSwish(String x) {
        String gate = call("Clip", call("Add", x, "three"), "zero", "six");
        return call("Div", call("Mul", x, gate), "six");
    }

    private String gelu(String x) {
        String sum = call("Add", call("Erf", call("Div", x, "root")), "one");
        return call("Mul", call("Mul", x, sum), "half");
    }

    private String transposed(String x) {
        return permuted(permuted(x));
    }

    private String permuted(String x) {
        String y = fresh();
        graphs.node(y + " = Transpose(" + x + ")", n -> n.with("perm", List.of(0L, 1L, 3L, 2L)));
        return y;
    }

    private String reshaped(String x) {
        String shape = call("Shape", x);
        String flat = fresh();
        graphs.integers(flat, 0, 4, -1);
        return call("Reshape", call("Reshape", x, flat), shape);
    }
}
