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

import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;

/** Two saved graphs beside each other. */
final class GraphComparison {
    private static final int USUAL_BATCH = 64;

    private final Path reference;
    private final Path candidate;
    private final InputOptions options;

    GraphComparison(Path reference, Path candidate, InputOptions options) {
        this.reference = reference;
        this.candidate = candidate;
        this.options = options;
    }

    void run(Report report) {
        options.requireNone(
                "--fit",
                "--bgr",
                "--channels-last",
                "--labels",
                "--characters",
                "--tokenizer",
                "--max-length",
                "--limit",
                "--seed",
                "--random",
                "--dimension");
        Path data = options.path();
        int channels = options.channels().orElse(3);
        int batch = options.batch(USUAL_BATCH);
        GraphModule first = load(reference);
        GraphModule second = load(candidate);
        ModelInputs inputs =
                Files.isDirectory(data)
                        ? ModelInputs.of(images(data, channels), batch)
                        : ModelInputs.of(
                                data,
                                first.graph().inputs().stream().map(Value::name).toList(),
                                batch);
        OutputComparison found;
        try (var progress = Progress.of("Comparing", inputs.batches())) {
            found = OutputComparison.compare(first, second, inputs, progress::step);
        }
        report.print(() -> describe(found), out -> print(found, out));
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

    private ImageFolder images(Path folder, int channels) {
        ImageFolder images = ImageFolder.of(folder).channels(channels);
        return options.size()
                .map(size -> images.size(size.height(), size.width()))
                .orElse(images)
                .normalized(options.mean(), options.std());
    }

    private void print(OutputComparison found, PrintWriter out) {
        long bytes = Table.fileBytes(reference);
        long candidateBytes = Table.fileBytes(candidate);
        new Table(1, "model", "file", "of reference", "ms a batch", "speed")
                .row(
                        reference.toString(),
                        Table.megabytes(bytes),
                        "1.00",
                        Table.decimals(found.referenceMillis()),
                        "1.00 x")
                .row(
                        candidate.toString(),
                        Table.megabytes(candidateBytes),
                        Table.decimals((double) candidateBytes / bytes),
                        Table.decimals(found.candidateMillis()),
                        Table.decimals(found.speedup()) + " x")
                .lines()
                .forEach(out::println);
        out.println();
        out.println(found);
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
        description.put("bytes", Table.fileBytes(file));
        description.put("latency_ms", millis);
        return description;
    }
}
