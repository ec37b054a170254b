package io.espalier.onnx.zoo;

import org.jspecify.annotations.Nullable;

/** Attention over tokens [N, L, C], spelled out as each exporter does. */
final class Attention {
    private final Net net;
    private final Layers layers;
    private final long channels;
    private final long heads;

    Attention(Net net, Layers layers, long channels, long heads) {
        this.net = net;
        this.layers = layers;
        this.channels = channels;
        this.heads = heads;
    }

    /** Attention to itself, and the layer after it. */
    String selfAttention(String x, @Nullable String mask) {
        return attention(
                layers.linear(x, channels, channels),
                layers.linear(x, channels, channels),
                layers.linear(x, channels, channels),
                mask);
    }

    String attention(String q, String k, String v, @Nullable String mask) {
        String queries = heads(q);
        String keys = layers.transpose(split(k), 0L, 2L, 3L, 1L);
        String weights = scores(queries, keys);
        if (mask != null) {
            weights = net.call("Add", weights, mask);
        }
        String mixed = net.call("MatMul", layers.softmax(weights), heads(v));
        return layers.linear(joined(mixed), channels, channels);
    }

    private String scores(String queries, String keys) {
        double size = Math.sqrt((double) channels / heads);
        if (net.exporter.traces()) {
            return net.call("Div", net.call("MatMul", queries, keys), net.number(size));
        }
        double root = 1 / Math.sqrt(size);
        return net.call(
                "MatMul",
                net.call("Mul", queries, net.number(root)),
                net.call("Mul", keys, net.number(root)));
    }

    String heads(String x) {
        return layers.transpose(split(x), 0L, 2L, 1L, 3L);
    }

    /** [N, L, heads, C / heads], by the extents of the value itself. */
    private String split(String x) {
        String shape =
                layers.concat(
                        0,
                        layers.extent(x, 0),
                        layers.extent(x, 1),
                        net.integers(heads),
                        net.integers(channels / heads));
        return net.call("Reshape", x, shape);
    }

    private String joined(String mixed) {
        String x = layers.transpose(mixed, 0L, 2L, 1L, 3L);
        String shape =
                layers.concat(0, layers.extent(x, 0), layers.extent(x, 1), net.integers(channels));
        return net.call("Reshape", x, shape);
    }

    /** Queries, keys and values of one layer, cut from its result. */
    String joint(String x, @Nullable String mask) {
        String all = layers.linear(x, channels, 3 * channels);
        return attention(
                layers.slice(all, 0, channels, 2),
                layers.slice(all, channels, 2 * channels, 2),
                layers.slice(all, 2 * channels, 3 * channels, 2),
                mask);
    }

    /** A block with its norms before attention and layers. */
    String preNorm(String x, @Nullable String mask) {
        String y = net.call("Add", x, joint(layers.layerNorm(x, channels), mask));
        String z = layers.linear(layers.layerNorm(y, channels), channels, 4 * channels);
        return net.call("Add", y, layers.linear(layers.gelu(z), 4 * channels, channels));
    }

    /** A block with its norms after each sum. */
    String postNorm(String x, @Nullable String mask) {
        String y = layers.layerNorm(net.call("Add", selfAttention(x, mask), x), channels);
        String z = layers.gelu(layers.linear(y, channels, 4 * channels));
        z = layers.linear(z, 4 * channels, channels);
        return layers.layerNorm(net.call("Add", z, y), channels);
    }
}
