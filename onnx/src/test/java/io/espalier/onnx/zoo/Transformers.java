package io.espalier.onnx.zoo;

import static io.espalier.onnx.zoo.Net.axis;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.zoo.Layers.Window;

import java.util.List;

/** Transformers of words, pictures and sounds. */
final class Transformers {
    private static final String IDS = "input_ids: Int64[batch, sequence]";
    private static final String MASK = "attention_mask: Int64[batch, sequence]";
    private static final long SIZE = 32;
    private static final float LEAST = -3.4028235e38f;

    private final Net net;
    private final Layers layers;
    private final Attention attention;

    Transformers(Exporter exporter) {
        net = new Net(exporter);
        layers = new Layers(net);
        attention = new Attention(net, layers, SIZE, 2);
    }

    /** 0 where the mask is 1, and very little elsewhere: [N, 1, 1, L]. */
    private String extended(String mask) {
        String wide = net.call("Unsqueeze", mask, net.integers(1, 2));
        String hidden = net.call("Sub", net.number(1), layers.cast(wide, ElementType.FLOAT));
        if (net.exporter.traces()) {
            return net.call("Mul", hidden, net.number(LEAST));
        }
        String is = layers.cast(hidden, ElementType.BOOL);
        return net.call("Where", is, net.number(LEAST), net.number(0));
    }

    private String words(String ids) {
        String words = layers.embedding(ids, 50, SIZE);
        String positions = layers.slice(table(64), 0, 64, 1);
        positions =
                net.call(
                        "Slice",
                        positions,
                        net.integers(0),
                        layers.extent(ids, 1),
                        net.integers(1));
        return net.call("Add", words, net.call("Gather", net.weight(0.3, 64, SIZE), positions));
    }

    private String table(int length) {
        long[] numbers = new long[length];
        for (int i = 0; i < length; i++) {
            numbers[i] = i;
        }
        return net.initializer(
                "position_ids", ConstantTensor.longs(List.of(1L, (long) length), numbers));
    }

    /** BERT, with a pooled first token; DistilBERT has no types of tokens. */
    OnnxModel bert(boolean types) {
        String ids = net.input(IDS);
        String mask = extended(net.input(MASK));
        String x = words(ids);
        if (types) {
            String kinds = net.input("token_type_ids: Int64[batch, sequence]");
            x = net.call("Add", x, layers.embedding(kinds, 2, SIZE));
        }
        x = layers.layerNorm(x, SIZE);
        for (int i = 0; i < 2; i++) {
            x = attention.postNorm(x, mask);
        }
        String first = net.call("Gather", axis(1), x, net.integer(0));
        return net.model(x, net.call("Tanh", layers.dense(first, SIZE, SIZE)));
    }

    /** ALBERT: one layer's weights for all. */
    OnnxModel albert() {
        String x = layers.layerNorm(words(net.input(IDS)), SIZE);
        String up = net.weight(0.2, SIZE, 64);
        String down = net.weight(0.15, 64, SIZE);
        for (int i = 0; i < 3; i++) {
            String y = layers.geluTanh(net.call("MatMul", x, up));
            x = layers.layerNorm(net.call("Add", net.call("MatMul", y, down), x), SIZE);
        }
        return net.model(x);
    }

    /** GPT-2: what comes later is hidden, rows are flattened for Gemm, words are tied. */
    OnnxModel gpt2() {
        String ids = net.input(IDS);
        String table = net.weight(0.3, 50, SIZE);
        String x = net.call("Gather", table, ids);
        String hidden = causal(ids);
        for (int i = 0; i < 2; i++) {
            String y = layers.layerNorm(x, SIZE);
            x = net.call("Add", x, attention.joint(y, hidden));
            y = flatLayer(layers.layerNorm(x, SIZE), SIZE, 128);
            x = net.call("Add", x, flatLayer(layers.geluTanh(y), 128, SIZE));
        }
        x = layers.layerNorm(x, SIZE);
        return net.model(net.call("MatMul", x, layers.transpose(table, 1L, 0L)));
    }

    /** [1, 1, L, L] of 0 and very little. */
    private String causal(String ids) {
        String length = layers.extent(ids, 1);
        String square = layers.concat(0, length, length);
        String ones =
                net.call(
                        "ConstantOfShape",
                        n -> n.with("value", ConstantTensor.floats(List.of(1L), 1)),
                        square);
        if (net.exporter.opset >= 14) {
            String seen = net.call("Trilu", n -> n.with("upper", 0), ones);
            String is = layers.cast(seen, ElementType.BOOL);
            String mask = net.call("Where", is, net.number(0), net.number(LEAST));
            return net.call("Unsqueeze", mask, net.integers(0, 1));
        }
        String all = net.constant(lower(64));
        String rows = net.call("Slice", all, net.integers(0), length, net.integers(2));
        String part = net.call("Slice", rows, net.integers(0), length, net.integers(3));
        return net.call("Where", part, net.number(0), net.number(LEAST));
    }

    private static ConstantTensor lower(int length) {
        byte[] seen = new byte[length * length];
        for (int i = 0; i < seen.length; i++) {
            seen[i] = (byte) (i % length <= i / length ? 1 : 0);
        }
        return ConstantTensor.bytes(
                ElementType.BOOL, List.of(1L, 1L, (long) length, (long) length), seen);
    }

    /** A layer whose input is flattened to rows and given its shape again. */
    private String flatLayer(String x, long from, long to) {
        String rows = layers.reshape(x, -1, from);
        String y =
                net.call(
                        "Gemm",
                        rows,
                        net.weight(1 / Math.sqrt(from), from, to),
                        net.around(0, 0.1, to));
        String shape = layers.concat(0, layers.extent(x, 0), layers.extent(x, 1), net.integers(to));
        return net.call("Reshape", y, shape);
    }

    /** T5's encoder: norms without means, positions as a bias in buckets. */
    OnnxModel t5() {
        String ids = net.input(IDS);
        String x = layers.embedding(ids, 50, SIZE);
        String bias = buckets(ids);
        for (int i = 0; i < 2; i++) {
            x = net.call("Add", x, attention.selfAttention(layers.rmsNorm(x, SIZE), bias));
            String y =
                    layers.relu(
                            net.call(
                                    "MatMul", layers.rmsNorm(x, SIZE), net.weight(0.18, SIZE, 64)));
            x = net.call("Add", x, net.call("MatMul", y, net.weight(0.12, 64, SIZE)));
        }
        return net.model(layers.rmsNorm(x, SIZE));
    }

    private String buckets(String ids) {
        String length = net.call("Squeeze", layers.extent(ids, 1), net.integers(0));
        String line = net.call("Range", net.integer(0), length, net.integer(1));
        String distance =
                net.call(
                        "Sub",
                        net.call("Unsqueeze", line, net.integers(0)),
                        net.call("Unsqueeze", line, net.integers(1)));
        String ahead =
                layers.cast(net.call("Greater", distance, net.integer(0)), ElementType.INT64);
        String far = net.call("Abs", distance);
        String logarithm =
                net.call(
                        "Log", net.call("Div", layers.cast(far, ElementType.FLOAT), net.number(4)));
        String large =
                net.call(
                        "Add",
                        layers.cast(net.call("Mul", logarithm, net.number(1.3)), ElementType.INT64),
                        net.integer(4));
        large = net.call("Min", large, net.integer(7));
        String near = net.call("Less", far, net.integer(4));
        String bucket = net.call("Where", near, far, large);
        bucket = net.call("Add", net.call("Mul", ahead, net.integer(8)), bucket);
        String bias = net.call("Gather", net.weight(0.3, 16, 2), bucket);
        return net.call("Unsqueeze", layers.transpose(bias, 2L, 0L, 1L), net.integers(0));
    }

    /** Llama: turned positions, keys that heads share, a gated layer. */
    OnnxModel llama() {
        String ids = net.input(IDS);
        String x = layers.embedding(ids, 50, SIZE);
        String y = layers.rmsNorm(x, SIZE);
        String angles = angles(ids);
        String cos = net.call("Cos", angles);
        String sin = net.call("Sin", angles);
        String q =
                turned(
                        attention.heads(net.call("MatMul", y, net.weight(0.18, SIZE, SIZE))),
                        cos,
                        sin);
        String k = turned(shared(net.call("MatMul", y, net.weight(0.18, SIZE, 16)), ids), cos, sin);
        String v = shared(net.call("MatMul", y, net.weight(0.18, SIZE, 16)), ids);
        String scores = net.call("MatMul", q, layers.transpose(k, 0L, 1L, 3L, 2L));
        scores = net.call("Add", net.call("Mul", scores, net.number(0.25)), causal(ids));
        String mixed = net.call("MatMul", layers.softmax(scores), v);
        mixed = layers.transpose(mixed, 0L, 2L, 1L, 3L);
        mixed = layers.reshape(mixed, 0, 0, SIZE);
        x = net.call("Add", x, net.call("MatMul", mixed, net.weight(0.18, SIZE, SIZE)));
        y = layers.rmsNorm(x, SIZE);
        String gate = layers.silu(net.call("MatMul", y, net.weight(0.18, SIZE, 64)));
        String up = net.call("MatMul", y, net.weight(0.18, SIZE, 64));
        String down = net.call("MatMul", net.call("Mul", gate, up), net.weight(0.12, 64, SIZE));
        x = layers.rmsNorm(net.call("Add", x, down), SIZE);
        return net.model(net.call("MatMul", x, net.weight(0.18, SIZE, 50)));
    }

    private String angles(String ids) {
        String length = net.call("Squeeze", layers.extent(ids, 1), net.integers(0));
        String line = net.call("Range", net.integer(0), length, net.integer(1));
        String column =
                net.call("Unsqueeze", layers.cast(line, ElementType.FLOAT), net.integers(1));
        String angle = net.call("Mul", column, net.around(0.5, 0.4, 8));
        return layers.concat(-1, angle, angle);
    }

    private String turned(String x, String cos, String sin) {
        String half = net.call("Neg", layers.slice(x, 8, Long.MAX_VALUE, 3));
        String other = layers.concat(-1, half, layers.slice(x, 0, 8, 3));
        return net.call("Add", net.call("Mul", x, cos), net.call("Mul", other, sin));
    }

    /** One head's keys for two heads. */
    private String shared(String x, String ids) {
        String one =
                net.call(
                        "Unsqueeze",
                        layers.transpose(layers.reshape(x, 0, 0, 1, 16), 0L, 2L, 1L, 3L),
                        net.integers(2));
        String shape =
                layers.concat(
                        0,
                        layers.extent(ids, 0),
                        net.integers(1, 2),
                        layers.extent(ids, 1),
                        net.integers(16));
        String both = net.call("Expand", one, shape);
        return layers.reshape(both, 0, 2, -1, 16);
    }

    /** Patches of a picture and a token for its class. */
    OnnxModel vit() {
        String picture = net.input("pixel_values: Float[batch, 3, 32, 32]");
        String x = layers.conv(picture, 3, SIZE, new Window(8, 8, 0, 1));
        String shape = layers.concat(0, layers.extent(x, 0), net.integers(SIZE), net.integers(-1));
        x = layers.transpose(net.call("Reshape", x, shape), 0L, 2L, 1L);
        String many =
                layers.concat(0, layers.extent(picture, 0), net.integers(-1), net.integers(-1));
        String pattern = net.call("Equal", many, net.integers(-1, -1, -1));
        String ones = net.call("Where", pattern, net.integers(1, 1, 1), many);
        String token = net.call("Expand", net.weight(0.3, 1, 1, SIZE), ones);
        x = layers.concat(1, token, x);
        x = net.call("Add", x, net.weight(0.3, 1, 17, SIZE));
        for (int i = 0; i < 2; i++) {
            x = attention.preNorm(x, null);
        }
        x = layers.layerNorm(x, SIZE);
        return net.model(layers.dense(net.call("Gather", axis(1), x, net.integer(0)), SIZE, 20));
    }

    /** Windows of a picture that are shifted by slices put together anew. */
    OnnxModel swin() {
        String x =
                layers.conv(
                        net.input("input: Float[batch, 3, 32, 32]"),
                        3,
                        SIZE,
                        new Window(4, 4, 0, 1));
        x = layers.layerNorm(layers.transpose(x, 0L, 2L, 3L, 1L), SIZE);
        for (int shift : new int[] {0, 2}) {
            String y = layers.layerNorm(x, SIZE);
            y = shift == 0 ? y : rolled(y, shift);
            y = layers.transpose(layers.reshape(y, -1, 2, 4, 2, 4, SIZE), 0L, 1L, 3L, 2L, 4L, 5L);
            y = attention.joint(layers.reshape(y, -1, 16, SIZE), windowBias());
            y = layers.transpose(layers.reshape(y, -1, 2, 2, 4, 4, SIZE), 0L, 1L, 3L, 2L, 4L, 5L);
            y = layers.reshape(y, -1, 8, 8, SIZE);
            y = shift == 0 ? y : rolled(y, 8 - shift);
            x = net.call("Add", x, y);
            y = layers.linear(layers.layerNorm(x, SIZE), SIZE, 64);
            x = net.call("Add", x, layers.linear(layers.gelu(y), 64, SIZE));
        }
        return net.model(layers.dense(layers.mean(x, false, 1, 2), SIZE, 20));
    }

    private String rolled(String x, long by) {
        for (long axis = 1; axis <= 2; axis++) {
            x =
                    layers.concat(
                            axis,
                            layers.slice(x, by, Long.MAX_VALUE, axis),
                            layers.slice(x, 0, by, axis));
        }
        return x;
    }

    private String windowBias() {
        long[] places = new long[256];
        for (int i = 0; i < 256; i++) {
            int dy = i / 16 / 4 - i % 16 / 4 + 3;
            int dx = i / 16 % 4 - i % 4 + 3;
            places[i] = dy * 7L + dx;
        }
        String bias =
                net.call(
                        "Gather",
                        net.weight(0.3, 49, 2),
                        net.constant(ConstantTensor.longs(List.of(256L), places)));
        bias = layers.transpose(layers.reshape(bias, 16, 16, 2), 2L, 0L, 1L);
        return net.call("Unsqueeze", bias, net.integers(0));
    }

    /** Layers across patches, then across channels. */
    OnnxModel mixer() {
        String x =
                layers.conv(
                        net.input("input: Float[batch, 3, 32, 32]"),
                        3,
                        SIZE,
                        new Window(8, 8, 0, 1));
        x = layers.transpose(layers.reshape(x, 0, SIZE, -1), 0L, 2L, 1L);
        for (int i = 0; i < 2; i++) {
            String y = layers.transpose(layers.layerNorm(x, SIZE), 0L, 2L, 1L);
            y = layers.linear(layers.gelu(layers.linear(y, 16, 32)), 32, 16);
            x = net.call("Add", x, layers.transpose(y, 0L, 2L, 1L));
            y =
                    layers.linear(
                            layers.gelu(layers.linear(layers.layerNorm(x, SIZE), SIZE, 64)),
                            64,
                            SIZE);
            x = net.call("Add", x, y);
        }
        return net.model(layers.dense(layers.mean(layers.layerNorm(x, SIZE), false, 1), SIZE, 20));
    }

    /** Whisper's encoder: two convolutions along time, then blocks. */
    OnnxModel whisper() {
        String x =
                layers.gelu(along(net.input("input_features: Float[batch, 16, 40]"), 16, SIZE, 1));
        x = layers.gelu(along(x, SIZE, SIZE, 2));
        x = net.call("Add", layers.transpose(x, 0L, 2L, 1L), net.weight(0.3, 20, SIZE));
        for (int i = 0; i < 2; i++) {
            x = attention.preNorm(x, null);
        }
        return net.model(layers.layerNorm(x, SIZE));
    }

    private String along(String x, long from, long to, long stride) {
        return net.call(
                "Conv",
                node ->
                        node.with("kernel_shape", List.of(3L))
                                .with("pads", List.of(1L, 1L))
                                .with("strides", List.of(stride)),
                x,
                net.weight(Math.sqrt(2.0 / (from * 3)), to, from, 3),
                net.around(0, 0.1, to));
    }

    /** CLIP: words and pictures in one space, held against each other. */
    OnnxModel clip() {
        String text = words(net.input(IDS));
        text = attention.preNorm(text, causal("input_ids"));
        text = unit(layers.mean(text, false, 1));
        String x =
                layers.conv(
                        net.input("pixel_values: Float[images, 3, 16, 16]"),
                        3,
                        SIZE,
                        new Window(4, 4, 0, 1));
        x = layers.transpose(layers.reshape(x, 0, SIZE, -1), 0L, 2L, 1L);
        x = unit(layers.mean(attention.preNorm(x, null), false, 1));
        String alike = net.call("MatMul", text, layers.transpose(x, 1L, 0L));
        return net.model(net.call("Mul", alike, net.number(10)), text, x);
    }

    private String unit(String x) {
        String norm =
                net.exporter.opset >= 18
                        ? net.call("ReduceL2", n -> n.with("keepdims", 1), x, net.integers(1))
                        : net.call(
                                "ReduceL2",
                                n -> n.with("keepdims", 1).with("axes", List.of(1L)),
                                x);
        return net.call("Div", x, norm);
    }
}
