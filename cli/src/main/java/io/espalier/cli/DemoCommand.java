package io.espalier.cli;

import io.espalier.data.Mnist;
import io.espalier.demo.CompressDigits;
import io.espalier.demo.Listener;
import io.espalier.demo.Settings;
import io.espalier.demo.Stage;
import io.espalier.demo.TemporaryDirectory;
import io.espalier.tensor.EspalierException;

import org.jspecify.annotations.Nullable;

import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** Compresses a network on real data, from training to int8 and training for it. */
@Command(
        name = "demo",
        description =
                "Trains a network on the MNIST digits, prunes it, quantizes it to 16-bit floats and"
                        + " to int8 (dynamically, after calibration, and with training), takes"
                        + " channels out of the float network and quantizes what is left, and"
                        + " measures each stage on the 10,000 test digits.",
        footer = {
            "",
            "Accuracy is a share (0.9897 is 98.97 %%) with --json, a percentage in the table."
                    + " Latency is the median time for a batch of "
                    + CompressDigits.TIMED_BATCH
                    + " digits on one thread, the models taking turns.",
            "Example: espalier demo --quick --out digits"
        })
final class DemoCommand implements Runnable {
    @Option(names = "--quick", description = "One to two minutes on two cores, instead of several.")
    boolean quick;

    @Option(
            names = "--seed",
            paramLabel = "N",
            defaultValue = "1",
            description = "Seed of weights and order; ${DEFAULT-VALUE} if left out.")
    long seed;

    @Option(names = "--out", paramLabel = "DIR", description = "Keep the models in this directory.")
    @Nullable Path out;

    @Option(names = "--force", description = "Replace models that are there already.")
    boolean force;

    @Option(
            names = "--data",
            paramLabel = "DIR",
            description = "Where MNIST's four .gz files are; data/mnist if left out.")
    @Nullable Path data;

    @Mixin Report report;

    @Override
    public void run() {
        if (out == null) {
            try (var directory = new TemporaryDirectory()) {
                report(
                        compress(directory.path()),
                        "The models were not kept; --out DIR keeps them.");
            }
        } else {
            makeWritable(out);
            try (var lock = WriteLock.ofFolder(out)) {
                requireFree(out);
                List<Stage> stages = compress(out);
                report(stages, "The models are in " + out + ": " + String.join(", ", names()));
            }
        }
    }

    private List<Stage> compress(Path directory) {
        Mnist train = data == null ? Mnist.train() : Mnist.train(data);
        Mnist test = data == null ? Mnist.test() : Mnist.test(data);
        Settings settings = quick ? Settings.quick(seed) : Settings.full(seed);
        try (var progress = new Bars()) {
            return new CompressDigits(settings, train, test, directory, progress).run();
        }
    }

    private static void makeWritable(Path directory) {
        try {
            Files.createDirectories(directory);
            Files.delete(Files.createTempFile(directory, "espalier", ""));
        } catch (IOException e) {
            throw new EspalierException(
                    "Models can't be written to " + directory + "; choose another --out.", e);
        }
    }

    private void requireFree(Path directory) {
        List<String> there =
                names().stream().filter(name -> Files.exists(directory.resolve(name))).toList();
        if (!there.isEmpty() && !force) {
            throw new EspalierException(
                    directory
                            + " has "
                            + String.join(", ", there)
                            + " already; add --force to replace, or choose another --out.");
        }
    }

    private static List<String> names() {
        return CompressDigits.STAGES.stream().map(CompressDigits::fileName).toList();
    }

    private void report(List<Stage> stages, String where) {
        report.print(
                () -> describe(stages),
                out -> {
                    table(stages).lines().forEach(out::println);
                    out.println();
                    out.println(where);
                });
    }

    private static Table table(List<Stage> stages) {
        Stage first = stages.getFirst();
        var table =
                new Table(
                        1, "stage", "accuracy", "file", "of float", "MACs", "sparsity", "latency");
        for (Stage stage : stages) {
            table.row(
                    stage.name(),
                    Table.percent(stage.accuracy()),
                    Table.megabytes(stage.bytes()),
                    "%.2f".formatted((double) stage.bytes() / first.bytes()),
                    String.format(Locale.ROOT, "%,d", stage.macs()),
                    Table.percent(stage.sparsity()),
                    String.format(Locale.ROOT, "%.2f ms", stage.latencyMillis()));
        }
        return table;
    }

    private static Map<String, Object> describe(List<Stage> stages) {
        var all = new LinkedHashMap<String, Object>();
        for (Stage stage : stages) {
            var one = new LinkedHashMap<String, Object>();
            one.put("accuracy", stage.accuracy());
            one.put("bytes", stage.bytes());
            one.put("latency_ms", stage.latencyMillis());
            one.put("macs", stage.macs());
            one.put("sparsity", stage.sparsity());
            all.put(stage.name(), one);
        }
        return all;
    }

    /** A bar for each part of the work. */
    private static final class Bars implements Listener, AutoCloseable {
        private @Nullable Progress current;

        @Override
        public void begins(String work, long steps) {
            close();
            current = Progress.of(work, steps);
        }

        @Override
        public void step(String note) {
            if (current != null) {
                current.step(note);
            }
        }

        @Override
        public void close() {
            if (current != null) {
                current.close();
                current = null;
            }
        }
    }
}
