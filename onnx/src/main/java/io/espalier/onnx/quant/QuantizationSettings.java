package io.espalier.onnx.quant;

import io.espalier.onnx.model.NamePattern;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.tensor.EspalierException;

import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;

/** What a quantizer was told. */
record QuantizationSettings(
        QuantizationMode mode,
        double maxDrop,
        List<String> keptFloat,
        boolean reducedRange,
        int threads,
        Consumer<String> progress,
        WeightFormat format,
        boolean fitsWeights,
        Optional<Recipe> recipe) {
    private static final double MAX_DROP = 0.01;

    /** As many as biases and ranges can be found from. */
    private static final long MOST_EXAMPLES = 64;

    /** Rows are wanted as many as a matrix has, and more. */
    private static final long MOST_EXAMPLES_OF_FITS = 256;

    static QuantizationSettings of(QuantizationMode mode) {
        return new QuantizationSettings(
                mode,
                MAX_DROP,
                List.of(),
                false,
                Runtime.getRuntime().availableProcessors(),
                words -> {},
                WeightFormat.DEFAULT,
                false,
                Optional.empty());
    }

    QuantizationSettings withMaxDrop(double drop) {
        return new QuantizationSettings(
                mode,
                drop,
                keptFloat,
                reducedRange,
                threads,
                progress,
                format,
                fitsWeights,
                recipe);
    }

    QuantizationSettings withKeptFloat(List<String> patterns) {
        return new QuantizationSettings(
                mode,
                maxDrop,
                patterns,
                reducedRange,
                threads,
                progress,
                format,
                fitsWeights,
                recipe);
    }

    QuantizationSettings withReducedRange() {
        return new QuantizationSettings(
                mode, maxDrop, keptFloat, true, threads, progress, format, fitsWeights, recipe);
    }

    QuantizationSettings withThreads(int count) {
        return new QuantizationSettings(
                mode,
                maxDrop,
                keptFloat,
                reducedRange,
                count,
                progress,
                format,
                fitsWeights,
                recipe);
    }

    QuantizationSettings withProgress(Consumer<String> listener) {
        return new QuantizationSettings(
                mode,
                maxDrop,
                keptFloat,
                reducedRange,
                threads,
                listener,
                format,
                fitsWeights,
                recipe);
    }

    QuantizationSettings withFittedWeights() {
        return new QuantizationSettings(
                mode, maxDrop, keptFloat, reducedRange, threads, progress, format, true, recipe);
    }

    QuantizationSettings following(Recipe other) {
        return new QuantizationSettings(
                mode,
                maxDrop,
                keptFloat,
                reducedRange,
                threads,
                progress,
                format,
                fitsWeights,
                Optional.of(other));
    }

    QuantizationSettings withFormat(WeightFormat weights) {
        return new QuantizationSettings(
                mode,
                maxDrop,
                keptFloat,
                reducedRange,
                threads,
                progress,
                weights,
                fitsWeights,
                recipe);
    }

    /**
     * How many examples are looked at. All values between convolutions are held for all of them at
     * once; products are fitted as data stream by. Both gain by more where weights are fitted, too.
     */
    long mostExamples(OnnxModel model) {
        boolean streams = model.graph().nodes().stream().noneMatch(node -> node.is("Conv"));
        return streams || fitsWeights || format.bits() == 4 ? MOST_EXAMPLES_OF_FITS : MOST_EXAMPLES;
    }

    /** Refuses what says something of ONNX files that libtorch's kernels have not. */
    void requireMeaningForLibtorch() {
        if (recipe.isPresent() || fitsWeights || !format.equals(WeightFormat.DEFAULT)) {
            throw new EspalierException(
                    "For libtorch there are no recipes, 4-bit weights, tables in integers,"
                            + " fitted weights or portable files; leave those settings out.");
        }
    }

    /** Whether a node shall stay in floats by its name. */
    boolean keepsFloat(OnnxNode node) {
        return keepsFloat(node.name());
    }

    boolean keepsFloat(String name) {
        return keptFloat.stream().anyMatch(pattern -> NamePattern.of(pattern).matches(name));
    }
}
