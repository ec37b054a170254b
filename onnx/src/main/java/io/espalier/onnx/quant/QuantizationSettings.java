package io.espalier.onnx.quant;

import io.espalier.nn.NamePattern;
import io.espalier.onnx.inputs.Task;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.tensor.EspalierException;

import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.function.Consumer;
import java.util.stream.Collectors;

/** What a quantizer was told. */
record QuantizationSettings(
        QuantizationMode mode,
        OptionalDouble budget,
        List<String> keptFloat,
        boolean reducedRange,
        int threads,
        Pace progress,
        WeightFormat format,
        boolean fitsWeights,
        Optional<Recipe> recipe,
        Optional<Journal.Place> journal,
        Optional<Task> task) {
    private static final double MAX_DROP = 0.01;

    /** How many layers a refusal names. */
    private static final int NAMED = 5;

    static QuantizationSettings of(QuantizationMode mode) {
        return new QuantizationSettings(
                mode,
                OptionalDouble.empty(),
                List.of(),
                false,
                Runtime.getRuntime().availableProcessors(),
                Pace.of(progress -> {}),
                WeightFormat.DEFAULT,
                false,
                Optional.empty(),
                Optional.empty(),
                Optional.empty());
    }

    /** The same settings with a change, while these stay. */
    QuantizationSettings with(Consumer<Change> change) {
        var changed = new Change(this);
        change.accept(changed);
        return changed.made();
    }

    /** Settings that can still be changed. */
    static final class Change {
        QuantizationMode mode;
        OptionalDouble budget;
        List<String> keptFloat;
        boolean reducedRange;
        int threads;
        Pace progress;
        WeightFormat format;
        boolean fitsWeights;
        Optional<Recipe> recipe;
        Optional<Journal.Place> journal;
        Optional<Task> task;

        private Change(QuantizationSettings start) {
            mode = start.mode;
            budget = start.budget;
            keptFloat = start.keptFloat;
            reducedRange = start.reducedRange;
            threads = start.threads;
            progress = start.progress;
            format = start.format;
            fitsWeights = start.fitsWeights;
            recipe = start.recipe;
            journal = start.journal;
            task = start.task;
        }

        private QuantizationSettings made() {
            return new QuantizationSettings(
                    mode,
                    budget,
                    keptFloat,
                    reducedRange,
                    threads,
                    progress,
                    format,
                    fitsWeights,
                    recipe,
                    journal,
                    task);
        }
    }

    /** How far results may be from the float model's. */
    double maxDrop() {
        return budget.orElse(MAX_DROP);
    }

    /**
     * How many examples are looked at. All values between convolutions are held for all of them at
     * once; products are fitted as data stream by. Both gain by more where weights are fitted, too;
     * a search decides about that on the way.
     */
    long mostExamples(OnnxModel model) {
        boolean streams = model.graph().nodes().stream().noneMatch(node -> node.is("Conv"));
        boolean all = mode != QuantizationMode.AUTO && fitsWeights;
        return streams || all || format.bits() == 4
                ? CalibrationData.ENOUGH_FOR_FITS
                : CalibrationData.ENOUGH;
    }

    /** Refuses what says something of ONNX files that libtorch's kernels have not. */
    void requireMeaningForLibtorch() {
        if (mode != QuantizationMode.AUTO) {
            throw new EspalierException(
                    "For libtorch layers are searched for by the mode AUTO alone, not "
                            + mode
                            + ".");
        }
        if (recipe.isPresent() || fitsWeights || !format.equals(WeightFormat.DEFAULT)) {
            throw new EspalierException(
                    "For libtorch there are no recipes, 4-bit weights, tables in integers,"
                            + " fitted weights or portable files; leave those settings out.");
        }
    }

    /** Refuses settings that the mode would not use. */
    void requireMeaningInMode() {
        format.requireMeaningIn(mode);
        if (budget.isPresent() && mode != QuantizationMode.AUTO && recipe.isEmpty()) {
            throw new EspalierException(
                    "The accuracy that may be lost is a budget for the mode AUTO; the mode "
                            + mode
                            + " takes what it costs. Leave maxDrop out.");
        }
        if (mode == QuantizationMode.FLOAT16 && (reducedRange || fitsWeights)) {
            throw new EspalierException(
                    (reducedRange ? "A reduced range" : "Fitting weights")
                            + " is for integers; the mode FLOAT16 has none.");
        }
    }

    /** Refuses a journal where nothing is searched for. */
    void requireSearchForJournal() {
        if (journal.isPresent() && (mode != QuantizationMode.AUTO || recipe.isPresent())) {
            throw new EspalierException(
                    "A journal keeps what the search of the mode AUTO finds; "
                            + (recipe.isPresent() ? "a recipe" : "the mode " + mode)
                            + " searches nothing.");
        }
    }

    /**
     * Refuses a pattern of layers to be kept float that is no layer's name.
     *
     * @param layers the names that there are
     */
    void requireKnown(List<String> layers) {
        for (String pattern : keptFloat) {
            if (layers.stream().noneMatch(NamePattern.of(pattern)::matches)) {
                throw unknown(pattern, layers);
            }
        }
    }

    /** The refusal of a pattern that is no layer's name. */
    static EspalierException unknown(String pattern, List<String> layers) {
        return new EspalierException(
                "No layer to be kept float is named '%s'; the model's layers are %s."
                        .formatted(
                                pattern,
                                layers.stream()
                                                .limit(NAMED)
                                                .map(name -> "'" + name + "'")
                                                .collect(Collectors.joining(", "))
                                        + (layers.size() > NAMED ? " and others" : "")));
    }

    /** All that decides what is found, in words. */
    String words() {
        return String.join(
                "; ",
                mode.toString(),
                String.valueOf(maxDrop()),
                keptFloat.toString(),
                String.valueOf(reducedRange),
                String.valueOf(threads),
                format.toString(),
                String.valueOf(fitsWeights));
    }

    /** Whether a node shall stay in floats by its name. */
    boolean keepsFloat(OnnxNode node) {
        return keepsFloat(node.name());
    }

    boolean keepsFloat(String name) {
        return keptFloat.stream().anyMatch(pattern -> NamePattern.of(pattern).matches(name));
    }
}
