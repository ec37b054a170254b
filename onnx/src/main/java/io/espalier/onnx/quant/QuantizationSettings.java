package io.espalier.onnx.quant;

import io.espalier.onnx.model.OnnxNode;

import java.util.List;
import java.util.function.Consumer;
import java.util.regex.Pattern;

/** What a quantizer was told. */
record QuantizationSettings(
        QuantizationMode mode,
        double maxDrop,
        List<String> keptFloat,
        boolean reducedRange,
        int threads,
        Consumer<String> progress) {
    private static final double MAX_DROP = 0.01;

    static QuantizationSettings of(QuantizationMode mode) {
        return new QuantizationSettings(
                mode,
                MAX_DROP,
                List.of(),
                false,
                Runtime.getRuntime().availableProcessors(),
                words -> {});
    }

    QuantizationSettings withMaxDrop(double drop) {
        return new QuantizationSettings(mode, drop, keptFloat, reducedRange, threads, progress);
    }

    QuantizationSettings withKeptFloat(List<String> patterns) {
        return new QuantizationSettings(mode, maxDrop, patterns, reducedRange, threads, progress);
    }

    QuantizationSettings withReducedRange() {
        return new QuantizationSettings(mode, maxDrop, keptFloat, true, threads, progress);
    }

    QuantizationSettings withThreads(int count) {
        return new QuantizationSettings(mode, maxDrop, keptFloat, reducedRange, count, progress);
    }

    QuantizationSettings withProgress(Consumer<String> listener) {
        return new QuantizationSettings(mode, maxDrop, keptFloat, reducedRange, threads, listener);
    }

    /** Whether a node shall stay in floats by its name. */
    boolean keepsFloat(OnnxNode node) {
        return keptFloat.stream().anyMatch(pattern -> matches(pattern, node.name()));
    }

    private static boolean matches(String pattern, String name) {
        String regex =
                Pattern.compile("\\*")
                        .splitAsStream(pattern + " ")
                        .map(Pattern::quote)
                        .reduce((a, b) -> a + ".*" + b)
                        .orElse("");
        return (name + " ").matches(regex);
    }
}
