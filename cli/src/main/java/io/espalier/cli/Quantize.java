package io.espalier.cli;

import io.espalier.onnx.inputs.Inputs;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.quant.QuantizationMode;
import io.espalier.onnx.quant.QuantizationOutcome;
import io.espalier.onnx.quant.QuantizationResult;
import io.espalier.onnx.quant.Quantizer;
import io.espalier.onnx.quant.Recipe;
import io.espalier.onnx.run.ModelRuntime;
import io.espalier.tensor.EspalierException;

import org.jspecify.annotations.Nullable;

import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** Makes an ONNX model smaller and faster. */
@Command(
        name = "quantize",
        description =
                "Makes an ONNX model smaller and faster: layers go over to 8-bit integers where"
                    + " that saves time on this machine, fitted to the calibration data; what costs"
                    + " too much accuracy stays in floats. Accuracy, size and speed are measured"
                    + " before the model is written.",
        footer = {
            "",
            "Modes: auto (what pays and stays within --max-drop); static (all layers that can be,"
                + " ranges found on the data); dynamic (matrix products, ranges found at each"
                + " call); weight-only (weights kept in 8 bits, all computed in floats); float16"
                + " (weights kept in 16-bit floats, all computed in floats: nothing is calibrated,"
                + " and data only measure).",
            "Example: espalier quantize ocr.onnx -o ocr-int8.onnx --calibration lines/"
                    + " --image-size 48x320 --channels 3 --mean 0.5 --std 0.5"
        })
final class Quantize implements Runnable {
    @Mixin ResultFile files;

    @Option(
            names = "--mode",
            paramLabel = "MODE",
            defaultValue = "auto",
            description = "auto, static, dynamic, weight-only or float16; auto if left out.")
    String mode;

    @Option(
            names = "--runtime",
            paramLabel = "RUNTIME",
            defaultValue = "onnxruntime",
            converter = RuntimeWord.class,
            description =
                    "What will run the result: onnxruntime (OUT is an ONNX file) or libtorch (OUT"
                            + " is a saved graph, *.safetensors, run by CompressedModel);"
                            + " ${DEFAULT-VALUE} if left out. For libtorch --mode is auto.")
    ModelRuntime runtime = ModelRuntime.ONNX_RUNTIME;

    @Option(
            names = "--max-drop",
            paramLabel = "D",
            description =
                    "How far results may be from the float model's, as 1 less the cosine; with"
                            + " --labels, the part of its right results that may be lost; 0.01 if"
                            + " left out. For --mode auto.")
    @Nullable Double maxDrop;

    @Option(
            names = "--keep-float",
            paramLabel = "PATTERN",
            description =
                    "Keep layers in floats, by the names of nodes or of weights; * stands for"
                            + " anything. For --runtime libtorch, by the names that --explain"
                            + " prints. May be repeated.")
    List<String> keepFloat = List.of();

    @Option(
            names = "--reduce-range",
            description = "Keep weights within 7 bits, for machines without VNNI.")
    boolean reduceRange;

    @Mixin WeightOptions weights;

    @Option(
            names = "--recipe",
            paramLabel = "FILE",
            description =
                    "Do what a recipe says of each layer, without a search and in the recipe's"
                            + " mode: a YAML file from --save-recipe. Layers that it does not name"
                            + " stay in floats.")
    @Nullable Path recipe;

    @Option(
            names = "--save-recipe",
            paramLabel = "FILE",
            description = "Write what became of each layer, and by which settings, as a recipe.")
    @Nullable Path savedRecipe;

    @Mixin JournalOption journal;

    @Option(
            names = "--threads",
            paramLabel = "N",
            description = "Threads that the model will run with; all cores if left out.")
    @Nullable Integer threads;

    @Mixin InputOptions inputs;

    @Option(names = "--explain", description = "Print what became of each layer, and why.")
    boolean explain;

    @Mixin Report report;

    @Spec CommandSpec spec;

    private @Nullable Recipe followed;

    @Override
    public void run() {
        followed = recipe();
        Quantizer quantizer = Usage.of(spec, this::quantizer);
        requireFileOfRuntime();
        requirePlaces();
        try (var lock = files.lock()) {
            write(quantizer);
        }
    }

    private void write(Quantizer quantizer) {
        OnnxModel original = OnnxModel.load(files.model);
        files.requireApart(original);
        files.tellOfWeights(original);
        OnnxInputs given =
                mode() == QuantizationMode.FLOAT16
                        ? OnnxInputs.toMeasure(inputs).sizedFor(original)
                        : new OnnxInputs(inputs);
        Quantizer judging = given.task().map(quantizer::judgedBy).orElse(quantizer);
        // What is wrong with them, or has to be told of them, comes first.
        given.checkedToFit(original);
        QuantizationOutcome result = quantized(judging, original, given.all());
        var quantized = new Quantized(files.model, files.out, mode(), result);
        requireGain(quantized);
        result.save(files.out);
        endSearch();
        if (savedRecipe != null && result instanceof QuantizationResult onnx) {
            onnx.recipe().save(savedRecipe);
        }
        report.print(quantized::describe, printer -> quantized.print(explain, printer));
    }

    private void requirePlaces() {
        Map<String, Path> read = inputs.files();
        if (recipe != null) {
            read.put("--recipe", recipe);
        }
        if (searches()) {
            read.put("--journal", journal.place(files.out));
        }
        if (savedRecipe != null) {
            requireApart(savedRecipe, read);
        }
        files.requirePlace(read);
        if (savedRecipe != null) {
            files.requirePlace(savedRecipe, read);
        }
    }

    /** A recipe takes no other file's place. */
    private void requireApart(Path saved, Map<String, Path> read) {
        var others = new LinkedHashMap<>(read);
        others.put("MODEL", files.model);
        others.put("-o", files.out);
        others.forEach((option, path) -> {
            if (WrittenPlace.isSame(saved, path)) {
                throw new ParameterException(
                        spec.commandLine(),
                        "--save-recipe and " + option + " name one file; give two.");
            }
        });
    }

    private void requireFileOfRuntime() {
        boolean libtorch = runtime == ModelRuntime.LIBTORCH;
        if (libtorch && mode() != QuantizationMode.AUTO) {
            throw new ParameterException(
                    spec.commandLine(), "For --runtime libtorch --mode is auto.");
        }
        if (libtorch && (recipe != null || savedRecipe != null)) {
            throw new ParameterException(
                    spec.commandLine(), "Recipes are for --runtime onnxruntime.");
        }
        String name = files.out.toString().toLowerCase(Locale.ROOT);
        if (name.endsWith(libtorch ? ".onnx" : ".safetensors")) {
            throw new ParameterException(
                    spec.commandLine(),
                    libtorch
                            ? "For --runtime libtorch OUT is a saved graph: call it *.safetensors."
                            : "OUT is an ONNX file: call it *.onnx, or add --runtime libtorch.");
        }
    }

    private QuantizationOutcome quantized(Quantizer quantizer, OnnxModel original, Inputs data) {
        try (var progress = StageProgress.onStandardError()) {
            Quantizer journaled =
                    searches() ? journal.applyTo(quantizer, files.out, files.force) : quantizer;
            Quantizer told = journaled.progress(progress::at);
            return runtime == ModelRuntime.LIBTORCH
                    ? told.quantizeForLibtorch(original, data)
                    : told.quantize(original, data);
        }
    }

    private void endSearch() {
        if (searches()) {
            journal.end(files.out);
        }
    }

    private boolean searches() {
        return mode() == QuantizationMode.AUTO && followed == null;
    }

    private @Nullable Recipe recipe() {
        if (recipe == null) {
            return null;
        }
        if (mode() != QuantizationMode.AUTO || maxDrop != null) {
            throw new ParameterException(
                    spec.commandLine(),
                    "--recipe says of each layer what it becomes; leave out --mode and"
                            + " --max-drop.");
        }
        return Recipe.load(recipe);
    }

    private Quantizer quantizer() {
        Recipe following = followed;
        Quantizer quantizer =
                following == null ? Quantizer.of(mode()) : Quantizer.auto().recipe(following);
        if (maxDrop != null && mode() != QuantizationMode.AUTO) {
            throw new ParameterException(spec.commandLine(), "--max-drop is for --mode auto.");
        }
        journal.requireMeaning(searches());
        quantizer = maxDrop == null ? quantizer : quantizer.maxDrop(maxDrop);
        quantizer = threads == null ? quantizer : quantizer.threads(threads);
        quantizer = reduceRange ? quantizer.reduceRange() : quantizer;
        if (reduceRange && mode() == QuantizationMode.FLOAT16) {
            throw new ParameterException(
                    spec.commandLine(), "--reduce-range is for integers; --mode float16 has none.");
        }
        quantizer = weights.applyTo(quantizer, mode());
        return quantizer.keepFloat(keepFloat.toArray(String[]::new));
    }

    private QuantizationMode mode() {
        if (followed != null) {
            return followed.mode();
        }
        return switch (mode) {
            case "auto" -> QuantizationMode.AUTO;
            case "static" -> QuantizationMode.STATIC;
            case "dynamic" -> QuantizationMode.DYNAMIC;
            case "weight-only" -> QuantizationMode.WEIGHT_ONLY;
            case "float16" -> QuantizationMode.FLOAT16;
            default ->
                    throw new ParameterException(
                            spec.commandLine(),
                            "--mode is auto, static, dynamic, weight-only or float16, not "
                                    + Printable.line(mode)
                                    + ".");
        };
    }

    /** What is worse than what came in is written by {@code --force} only. */
    private void requireGain(Quantized quantized) {
        if (files.force) {
            if (quantized.isAstray()) {
                inputs.warn("The results have little to do with those of the model that came in.");
            }
            return;
        }
        try {
            quantized.requireGain();
        } catch (EspalierException worse) {
            endSearch();
            throw worse;
        }
    }
}
