package io.espalier.cli;

import io.espalier.onnx.quant.QuantizationMode;
import io.espalier.onnx.quant.QuantizationResult.Layer;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/** How much of a model is in fewer bits, in words. */
final class StoredShare {
    private static final Set<String> INTEGERS = Set.of("int8", "int8 dynamic", "int4");

    private final List<Layer> layers;

    private StoredShare(List<Layer> layers) {
        this.layers = layers;
    }

    /** What is said of these layers; in some modes they compute in floats, of smaller weights. */
    static String of(List<Layer> layers, QuantizationMode mode) {
        var share = new StoredShare(layers);
        return switch (mode) {
            case FLOAT16 -> share.ofWeights("16 bits", Set.of("float16 stored"));
            case WEIGHT_ONLY -> share.ofWeights();
            case AUTO, STATIC, DYNAMIC -> share.ofLayers();
        };
    }

    private long count(Set<String> precisions) {
        return layers.stream().filter(layer -> precisions.contains(layer.precision())).count();
    }

    private String ofWeights(String bits, Set<String> precisions) {
        return "%d of %d weights in %s".formatted(count(precisions), layers.size(), bits);
    }

    private String ofWeights() {
        var parts = new ArrayList<String>();
        long four = count(Set.of("int4"));
        long eight = count(Set.of("int8", "int8 stored"));
        if (four > 0) {
            parts.add("%d of %d weights in 4 bits".formatted(four, layers.size()));
        }
        if (eight > 0 || four == 0) {
            parts.add("%d of %d weights in 8 bits".formatted(eight, layers.size()));
        }
        return String.join(", ", parts);
    }

    private String ofLayers() {
        long stored = count(Set.of("int8 stored"));
        String integers = "%d of %d layers in integers".formatted(count(INTEGERS), layers.size());
        return stored == 0
                ? integers
                : integers + ", the weights of %d more in 8 bits".formatted(stored);
    }
}
