package io.espalier.cli;

import org.jspecify.annotations.Nullable;

import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The options that say what a model is run with, the same for all commands that run one; {@link
 * OnnxInputs} makes the inputs of them.
 */
final class InputOptions {
    private static final Pattern SIZE = Pattern.compile("([1-9]\\d{0,5})[xX]([1-9]\\d{0,5})");

    @Option(
            names = {"--data", "--calibration"},
            paramLabel = "PATH",
            description =
                    "What the model is run with: a folder of images; a text file, a sentence a"
                            + " line, with --tokenizer; an .npz file whose arrays are named as the"
                            + " model's inputs, an .npy file, or a folder of those.")
    @Nullable Path data;

    @Option(
            names = "--image-size",
            paramLabel = "HxW",
            description = "Stretch images to this size; to the model's if left out.")
    @Nullable String imageSize;

    @Option(
            names = "--channels",
            paramLabel = "N",
            description =
                    "3 for images in colour, 1 for grey ones; what the model takes if left out.")
    @Nullable Integer channels;

    @Option(
            names = "--mean",
            split = ",",
            paramLabel = "M",
            description = "Subtracted from pixels, which are from 0 to 1; one or one a channel.")
    double @Nullable [] mean;

    @Option(
            names = "--std",
            split = ",",
            paramLabel = "S",
            description = "What they are then divided by; one or one a channel.")
    double @Nullable [] std;

    @Option(
            names = "--fit",
            description = "Keep images' proportions; zeros fill the right and the bottom.")
    boolean fit;

    @Option(names = "--bgr", description = "Give images blue first, as models from OpenCV want.")
    boolean bgr;

    @Option(
            names = "--channels-last",
            description = "Give images as [N, H, W, C], as models from TensorFlow want.")
    boolean channelsLast;

    @Option(
            names = "--labels",
            paramLabel = "FILE",
            description = "The images to take, with the right answers: lines 'file<tab>answer'.")
    @Nullable Path labels;

    @Option(
            names = "--characters",
            paramLabel = "FILE",
            description =
                    "The answers of --labels are texts of these characters, one a line, in the"
                        + " order of the model's classes: a blank comes before them, and a space"
                        + " after, if the model has one class more.")
    @Nullable Path characters;

    @Option(
            names = "--tokenizer",
            paramLabel = "FILE",
            description = "The tokenizer.json of a model of text.")
    @Nullable Path tokenizer;

    @Option(names = "--max-length", paramLabel = "N", description = "Cut texts to so many tokens.")
    @Nullable Integer maxLength;

    @Option(names = "--batch", paramLabel = "N", description = "How many inputs at once.")
    @Nullable Integer batch;

    @Option(names = "--limit", paramLabel = "N", description = "Take only so many inputs.")
    @Nullable Integer limit;

    @Option(
            names = "--seed",
            paramLabel = "N",
            description = "Take inputs in an order drawn at random from this number.")
    @Nullable Long seed;

    @Option(
            names = "--random",
            description = "Run the model with random numbers, which say little about real inputs.")
    boolean random;

    @Option(
            names = "--dimension",
            paramLabel = "NAME=N",
            description = "With --random, the size of a dimension that the model leaves open.")
    Map<String, Integer> dimensions = new LinkedHashMap<>();

    @Spec(Spec.Target.MIXEE)
    CommandSpec command;

    /** Where the inputs are. */
    Path path() {
        require(data != null, "Give the model's inputs by --data PATH.");
        return data == null ? Path.of("") : data;
    }

    /** The files that they name, by the option that does. */
    Map<String, Path> files() {
        var files = new LinkedHashMap<String, Path>();
        put(files, "--data", data);
        put(files, "--labels", labels);
        put(files, "--characters", characters);
        put(files, "--tokenizer", tokenizer);
        return files;
    }

    private static void put(Map<String, Path> files, String option, @Nullable Path file) {
        if (file != null) {
            files.put(option, file);
        }
    }

    /** Height and width. */
    record Size(int height, int width) {}

    /** The size of images, if one is given. */
    Optional<Size> size() {
        if (imageSize == null) {
            return Optional.empty();
        }
        Matcher size = SIZE.matcher(imageSize);
        require(
                size.matches(),
                "--image-size is HEIGHTxWIDTH, such as 224x224, not '" + imageSize + "'.");
        return Optional.of(
                new Size(Integer.parseInt(size.group(1)), Integer.parseInt(size.group(2))));
    }

    /** What is subtracted from pixels. */
    double[] mean() {
        return mean == null ? new double[] {0} : mean;
    }

    /** What pixels are divided by. */
    double[] std() {
        return std == null ? new double[] {1} : std;
    }

    /** How many channels images are read with; empty if it is not said. */
    Optional<Integer> channels() {
        requireChannels();
        return Optional.ofNullable(channels);
    }

    void requireChannels() {
        require(
                channels == null || channels == 1 || channels == 3,
                "--channels is 3 or 1, not " + channels + ".");
    }

    /** How many inputs at once. */
    int batch(int ifLeftOut) {
        require(batch == null || batch >= 1, "--batch is 1 or more, not " + batch + ".");
        return batch == null ? ifLeftOut : batch;
    }

    /** Refuses options that only models in ONNX files are run with. */
    void requireNone(String... options) {
        for (String option : options) {
            require(!isGiven(option), option + " is for ONNX files.");
        }
    }

    /** Whether an option is on the command line. */
    boolean isGiven(String option) {
        return command.commandLine().getParseResult().hasMatchedOption(option);
    }

    /** Tells on standard error what has to be known of the inputs. */
    void warn(String warning) {
        var err = command.commandLine().getErr();
        err.println("espalier: WARNING: " + Printable.line(warning));
        err.flush();
    }

    /** What options make; a value that the library refuses is wrong use. */
    <T> T usage(Supplier<T> made) {
        return Usage.of(command, made);
    }

    /** Refuses wrong use. */
    void require(boolean holds, String usage) {
        if (!holds) {
            throw misuse(usage);
        }
    }

    /** The error of wrong use. */
    ParameterException misuse(String usage) {
        return new ParameterException(command.commandLine(), usage);
    }
}
