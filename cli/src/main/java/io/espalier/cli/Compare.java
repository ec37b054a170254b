package io.espalier.cli;

import io.espalier.data.ImageFolder;
import io.espalier.data.ModelInputs;
import io.espalier.graph.GraphModule;
import io.espalier.graph.Value;
import io.espalier.quant.Quantization;
import io.espalier.quant.evaluation.OutputComparison;
import io.espalier.quant.graph.GraphFile;
import io.espalier.state.SafeTensors;
import io.espalier.tensor.EspalierException;

import org.jspecify.annotations.Nullable;

import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Holds one saved graph's outputs, size and speed against another's. */
@Command(
        name = "compare",
        description =
                "Compares two saved graphs on the same inputs: how far the outputs are apart, sizes"
                        + " and times, the models taking turns.",
        footer = {
            "",
            "A saved graph (Quantization.save of what Quantization.quantize gives) holds its"
                    + " program. Other files hold a model's tensors alone, and need its Java code:"
                    + " compare such models in a program, by Evaluation.compare.",
            "Example: espalier compare mild.safetensors strong.safetensors --data digits.npz"
        })
final class Compare implements Runnable {
    private static final Pattern SIZE = Pattern.compile("([1-9]\\d{0,5})[xX]([1-9]\\d{0,5})");

    @Parameters(
            index = "0",
            paramLabel = "REF",
            description = "The graph that is held to be right.")
    Path reference;

    @Parameters(
            index = "1",
            paramLabel = "CAND",
            description = "The graph that is compared with it.")
    Path candidate;

    @Option(
            names = "--data",
            required = true,
            paramLabel = "PATH",
            description =
                    "An .npz file whose arrays are named as the graph's inputs (one array may have"
                            + " any name), or a folder of images in folders.")
    Path data;

    @Option(
            names = "--batch",
            paramLabel = "N",
            defaultValue = "64",
            description = "How many inputs at once; ${DEFAULT-VALUE} if left out.")
    int batch;

    @Option(
            names = "--image-size",
            paramLabel = "HxW",
            description = "Stretch images to this size; as they are if left out.")
    @Nullable String imageSize;

    @Option(
            names = "--channels",
            paramLabel = "N",
            defaultValue = "3",
            description = "3 for images in colour, 1 for grey ones; ${DEFAULT-VALUE} if left out.")
    int channels;

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

    @Option(names = "--json", description = "Print one JSON object instead of a table.")
    boolean json;

    @Spec CommandSpec spec;

    @Override
    public void run() {
        require(batch >= 1, "--batch is 1 or more, not " + batch + ".");
        require(channels == 1 || channels == 3, "--channels is 3 or 1, not " + channels + ".");
        GraphModule first = load(reference);
        GraphModule second = load(candidate);
        ModelInputs inputs = inputs(first);
        OutputComparison found;
        try (var progress = Progress.of("Comparing", inputs.batches())) {
            found = OutputComparison.compare(first, second, inputs, progress::step);
        }
        PrintWriter out = spec.commandLine().getOut();
        if (json) {
            out.println(Json.line(describe(found)));
        } else {
            print(found, out);
        }
        out.flush();
    }

    private static GraphModule load(Path file) {
        if (!GraphFile.isGraph(SafeTensors.header(file).metadata())) {
            throw new EspalierException(
                    file
                            + " holds a model's tensors, not its program; compare such models in a"
                            + " program, by Evaluation.compare.");
        }
        return Quantization.loadGraph(file);
    }

    private ModelInputs inputs(GraphModule model) {
        if (!Files.isDirectory(data)) {
            return ModelInputs.of(
                    data, model.graph().inputs().stream().map(Value::name).toList(), batch);
        }
        ImageFolder images = ImageFolder.of(data).channels(channels);
        if (imageSize != null) {
            Matcher size = SIZE.matcher(imageSize);
            require(
                    size.matches(),
                    "--image-size is HEIGHTxWIDTH, such as 224x224, not '" + imageSize + "'.");
            images = images.size(number(size.group(1)), number(size.group(2)));
        }
        if (mean != null || std != null) {
            images =
                    images.normalized(
                            mean == null ? new double[] {0} : mean,
                            std == null ? new double[] {1} : std);
        }
        return ModelInputs.of(images, batch);
    }

    private void require(boolean holds, String usage) {
        if (!holds) {
            throw new ParameterException(spec.commandLine(), usage);
        }
    }

    private static int number(String digits) {
        return Integer.parseInt(digits);
    }

    private void print(OutputComparison found, PrintWriter out) {
        long bytes = bytes(reference);
        new Table(1, "model", "file", "of reference", "ms a batch", "speed")
                .row(
                        reference.toString(),
                        Table.megabytes(bytes),
                        "1.00",
                        decimals(found.referenceMillis()),
                        "1.00 x")
                .row(
                        candidate.toString(),
                        Table.megabytes(bytes(candidate)),
                        decimals((double) bytes(candidate) / bytes),
                        decimals(found.candidateMillis()),
                        decimals(found.speedup()) + " x")
                .lines()
                .forEach(out::println);
        out.println();
        out.println(found);
    }

    private static String decimals(double number) {
        return String.format(Locale.ROOT, "%.2f", number);
    }

    private static long bytes(Path file) {
        try {
            return Files.size(file);
        } catch (IOException e) {
            throw new EspalierException(file + " can't be read: " + e.getMessage() + ".", e);
        }
    }

    private Map<String, Object> describe(OutputComparison found) {
        var description = new LinkedHashMap<String, Object>();
        description.put("reference", describe(reference, found.referenceMillis()));
        description.put("candidate", describe(candidate, found.candidateMillis()));
        description.put("examples", found.examples());
        description.put("max_error", found.maxError());
        description.put("mean_error", found.meanError());
        description.put("cosine", found.cosine());
        description.put("sqnr_db", found.sqnr());
        description.put("agreement", found.agreement());
        return description;
    }

    private static Map<String, Object> describe(Path file, double millis) {
        var description = new LinkedHashMap<String, Object>();
        description.put("file", file.toString());
        description.put("bytes", bytes(file));
        description.put("latency_ms", millis);
        return description;
    }
}
