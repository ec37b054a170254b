package io.espalier.cli;

import io.espalier.data.ImageDecoder;
import io.espalier.onnx.inputs.ImageInputs;
import io.espalier.onnx.inputs.InputBatches;
import io.espalier.onnx.inputs.Inputs;
import io.espalier.onnx.inputs.RandomInputs;
import io.espalier.onnx.inputs.Task;
import io.espalier.onnx.inputs.TextInputs;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.repair.TrialInputs;
import io.espalier.state.AtomicFile;
import io.espalier.tensor.EspalierException;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * The inputs that {@link InputOptions} describe. Apart from those, which are read for every help
 * text, so that nothing of ONNX is loaded for one.
 */
final class OnnxInputs {
    /** What the inputs are made of. */
    private enum Kind {
        IMAGES("a folder of images"),
        TEXT("text"),
        ARRAYS("arrays"),
        RANDOM("random numbers");

        private final String words;

        Kind(String words) {
            this.words = words;
        }
    }

    /** The options that say something about some kinds alone. */
    private static final Map<String, Set<Kind>> MEANT_FOR =
            Map.ofEntries(
                    Map.entry("--image-size", Set.of(Kind.IMAGES, Kind.RANDOM)),
                    Map.entry("--channels", Set.of(Kind.IMAGES)),
                    Map.entry("--mean", Set.of(Kind.IMAGES)),
                    Map.entry("--std", Set.of(Kind.IMAGES)),
                    Map.entry("--fit", Set.of(Kind.IMAGES)),
                    Map.entry("--bgr", Set.of(Kind.IMAGES)),
                    Map.entry("--channels-last", Set.of(Kind.IMAGES)),
                    Map.entry("--labels", Set.of(Kind.IMAGES)),
                    Map.entry("--characters", Set.of(Kind.IMAGES)),
                    Map.entry("--tokenizer", Set.of(Kind.TEXT)),
                    Map.entry("--max-length", Set.of(Kind.TEXT)),
                    Map.entry("--dimension", Set.of(Kind.RANDOM)));

    /** Fewer examples say little. */
    private static final int FEW = 8;

    private final InputOptions options;
    private final boolean toMeasure;
    private final Inputs inputs;

    /** What the options say; wrong use is refused here. */
    OnnxInputs(InputOptions options) {
        this(options, false);
    }

    private OnnxInputs(InputOptions options, boolean toMeasure) {
        this.options = options;
        this.toMeasure = toMeasure;
        this.inputs = inputs();
    }

    private OnnxInputs(OnnxInputs of, Inputs inputs) {
        options = of.options;
        toMeasure = of.toMeasure;
        this.inputs = inputs;
    }

    /**
     * What the options say, or random numbers where they say nothing: for what is only measured
     * with them, and not calibrated.
     */
    static OnnxInputs toMeasure(InputOptions options) {
        return new OnnxInputs(options, true);
    }

    /**
     * The same, or random numbers of usual sizes where they are only measured with, the model
     * leaves sizes open and no option says which; standard error says what they are.
     *
     * @throws EspalierException if the model takes none of the usual sizes
     */
    OnnxInputs sizedFor(OnnxModel model) {
        if (!toMeasure || !(inputs instanceof RandomInputs) || options.size().isPresent()) {
            return this;
        }
        RandomInputs usual = TrialInputs.usual(model, options.dimensions);
        if (usual.sizes().equals(options.dimensions)) {
            return this;
        }
        String sizes =
                new TreeMap<>(usual.sizes())
                        .entrySet().stream()
                                .map(size ->
                                        Printable.line(size.getKey()) + " = " + size.getValue())
                                .collect(Collectors.joining(", "));
        options.warn(
                "MACs and times are those of inputs of a usual size, "
                        + sizes
                        + ", which the model leaves open; --dimension NAME=N gives another.");
        return new OnnxInputs(this, selected(usual));
    }

    /**
     * The batches for a model; a warning about them goes to standard error.
     *
     * @throws EspalierException if they can't be read or are not what the model takes
     */
    InputBatches checkedFor(OnnxModel model) {
        if (inputs instanceof RandomInputs numbers) {
            numbers.requireOpenIn(model);
        }
        InputBatches batches = inputs.checkedFor(model);
        if (!toMeasure) {
            batches.warning().ifPresent(options::warn);
        }
        return batches;
    }

    /**
     * The same for a model that is fitted to them: standard error says so where they are few.
     *
     * @throws EspalierException if they can't be read or are not what the model takes
     */
    void checkedToFit(OnnxModel model) {
        int different = checkedFor(model).different(FEW);
        if (!toMeasure && different < FEW) {
            options.warn(
                    (different == 1
                                    ? "All examples of the data are the same"
                                    : "The data have " + different + " different examples")
                            + ": what is fitted to them is right on those alone, and so is what"
                            + " is said of it; give some dozens, of all kinds.");
        }
    }

    /** The inputs, which no model has been looked at for. */
    Inputs all() {
        return inputs;
    }

    /** What labels mean, if there are some: texts of given characters, or class numbers. */
    Optional<Task> task() {
        options.require(
                options.labels != null || options.characters == null,
                "--characters says what --labels FILE means; give both.");
        if (options.labels == null) {
            return Optional.empty();
        }
        return Optional.of(
                options.characters == null ? Task.classes() : Task.texts(options.characters));
    }

    private Inputs inputs() {
        options.require(
                options.batch == null || options.batch >= 1,
                "--batch is 1 or more, not " + options.batch + ".");
        options.require(
                options.limit == null || options.limit >= 1,
                "--limit is 1 or more, not " + options.limit + ".");
        Kind kind = kind();
        MEANT_FOR.forEach((option, kinds) ->
                options.require(
                        kinds.contains(kind) || !options.isGiven(option),
                        option + " means nothing to " + kind.words + "."));
        Inputs all =
                switch (kind) {
                    case IMAGES -> images(options.path());
                    case TEXT -> text(options.path());
                    case ARRAYS -> Inputs.arrays(options.path());
                    case RANDOM -> randomNumbers();
                };
        return selected(all);
    }

    private Inputs selected(Inputs of) {
        Inputs all = options.batch == null ? of : of.batch(options.batch);
        all = options.limit == null ? all : all.limit(options.limit);
        return options.seed == null ? all : all.shuffled(options.seed);
    }

    private Kind kind() {
        if (options.random) {
            options.require(options.data == null, "--random takes no --data.");
            return Kind.RANDOM;
        }
        if (toMeasure && options.data == null && options.tokenizer == null) {
            return Kind.RANDOM;
        }
        Path path = options.path();
        if (options.tokenizer != null) {
            return Kind.TEXT;
        }
        if (Files.isDirectory(path)) {
            return holdsArrays(path) ? Kind.ARRAYS : Kind.IMAGES;
        }
        if (isArray(path)) {
            return Kind.ARRAYS;
        }
        if (!Files.exists(path)) {
            throw new EspalierException("No file or folder " + path + ".");
        }
        options.require(
                !ImageDecoder.reads(path),
                path + " is one image; --data takes the folder of images.");
        throw options.misuse(
                path + " is no folder and no .npz or .npy file; if it is text, give --tokenizer.");
    }

    private static boolean isArray(Path file) {
        String name = String.valueOf(file.getFileName()).toLowerCase(Locale.ROOT);
        return name.endsWith(".npz") || name.endsWith(".npy");
    }

    private static boolean holdsArrays(Path folder) {
        try (Stream<Path> files = Files.list(folder)) {
            return files.anyMatch(OnnxInputs::isArray);
        } catch (IOException e) {
            throw new EspalierException(
                    "Can't read the folder " + folder + ": " + AtomicFile.reason(e) + ".", e);
        }
    }

    private ImageInputs images(Path folder) {
        ImageInputs images =
                options.size()
                        .map(size -> Inputs.images(folder, size.height(), size.width()))
                        .orElseGet(() -> Inputs.images(folder));
        options.requireChannels();
        images = options.channels == null ? images : images.channels(options.channels);
        ImageInputs plain = images;
        images =
                options.mean == null && options.std == null
                        ? images
                        : options.usage(() -> plain.normalize(options.mean(), options.std()));
        images = options.fit ? images.fit() : images;
        images = options.bgr ? images.bgr() : images;
        images = options.channelsLast ? images.channelsLast() : images;
        return options.labels == null ? images : images.labels(options.labels);
    }

    private TextInputs text(Path lines) {
        options.require(
                options.maxLength == null || options.maxLength >= 2,
                "--max-length is 2 or more, not " + options.maxLength + ".");
        // Nothing that a tokenizer needs is on the network.
        System.getProperties().putIfAbsent("ai.djl.offline", "true");
        TextInputs text =
                Inputs.text(lines, options.tokenizer == null ? Path.of("") : options.tokenizer);
        return options.maxLength == null ? text : text.maxLength(options.maxLength);
    }

    private RandomInputs randomNumbers() {
        RandomInputs numbers = Inputs.random();
        for (Map.Entry<String, Integer> dimension : options.dimensions.entrySet()) {
            RandomInputs before = numbers;
            numbers = options.usage(() -> before.size(dimension.getKey(), dimension.getValue()));
        }
        RandomInputs all = numbers;
        return options.size().map(size -> all.imageSize(size.height(), size.width())).orElse(all);
    }
}
