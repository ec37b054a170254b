package io.espalier.cli;

import io.espalier.compress.Compressed;
import io.espalier.compress.Compression;
import io.espalier.state.SafeTensors;
import io.espalier.state.SavedModel;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** Makes a compressed file of a saved model's state. */
@Command(
        name = "compress",
        description =
                "Stores a model's state small: of weights that are mostly zeros, or of few values,"
                    + " only what there is. Read back it is equal, but for what a mask leaves out,"
                    + " which is 0; 'inspect' shows what each tensor takes. Module.load reads such"
                    + " files.",
        footer = {
            "",
            "Example: espalier compress pruned.safetensors -o pruned.small",
            "         espalier compress pruned.safetensors -o pruned4.small --share 4"
        })
final class CompressCommand implements Runnable {
    @Parameters(index = "0", paramLabel = "MODEL", description = "A safetensors file.")
    Path file;

    @Option(
            names = {"-o", "--out"},
            required = true,
            paramLabel = "OUT",
            description = "The file to write.")
    Path out;

    @Option(
            names = "--bits",
            paramLabel = "N",
            description =
                    "Round weights (32-bit floats of two and more dimensions) to integers of 8 or 4"
                            + " bits with a scale for each output.")
    @Nullable Integer bits;

    @Option(
            names = "--share",
            paramLabel = "N",
            description =
                    "Give each weight (floats of 32 or 16 bits) at most 2^N different values, found"
                            + " by k-means; 1 to 8.")
    @Nullable Integer share;

    @Option(names = "--force", description = "Replace OUT if it is there.")
    boolean force;

    @Mixin Report report;

    @Spec CommandSpec spec;

    @Override
    public void run() {
        requireEffect("--bits", bits, "8 or 4");
        requireEffect("--share", share, "1 to 8");
        Compression compression =
                Usage.of(
                        spec,
                        () -> new Compression(bits == null ? 0 : bits, share == null ? 0 : share));
        WrittenPlace.requireOther(out, file);
        WrittenPlace.require(out);
        WrittenPlace.requireFree(out, force);
        try (var lock = WriteLock.ofFile(out)) {
            write(compression);
        }
    }

    private void requireEffect(String option, @Nullable Integer number, String range) {
        if (number != null && number == 0) {
            throw new ParameterException(
                    spec.commandLine(),
                    option + " is " + range + ", not 0; without it nothing is lost.");
        }
    }

    private void write(Compression compression) {
        SafeTensors.Header header = SafeTensors.header(file);
        header.metadata().keySet().stream()
                .filter(key -> key.startsWith("espalier.") && !key.equals("espalier.tree"))
                .findFirst()
                .ifPresent(key -> {
                    throw new EspalierException(
                            file
                                    + " holds more than a model's state ("
                                    + Printable.line(key)
                                    + "), which is not read from a compressed file.");
                });
        SafeTensors.Contents contents = SafeTensors.read(file);
        try (var progress = Progress.of("Compressing", contents.tensors().size())) {
            Compressed.write(
                    out,
                    contents.tensors(),
                    contents.metadata(),
                    options -> compression,
                    progress::step);
        }
        SavedModel saved = SavedModel.read(out);
        long before = Table.fileBytes(file);
        List<String> whole = whole(contents.tensors(), compression);
        report.print(
                () -> describe(before, saved, whole),
                printer -> {
                    printer.printf(
                            "%s: %s bytes; %s: %s bytes, %s; %s parameters, %s of them zero.%n",
                            file,
                            Table.count(before),
                            out,
                            Table.count(saved.fileBytes()),
                            compared(before, saved.fileBytes()),
                            Table.count(saved.parameters()),
                            Table.percent(saved.sparsity()));
                    if (!whole.isEmpty()) {
                        printer.printf(
                                "Weights that are stored as they are: %s, such as %s: %s.%n",
                                Table.count(whole.size()),
                                Printable.line(whole.getFirst()),
                                bits == null
                                        ? "--share is for floats of 32 and 16 bits"
                                        : "--bits is for floats of 32 bits");
                    }
                });
    }

    /** The weights that an option was meant for but does nothing to. */
    private static List<String> whole(Map<String, Tensor> tensors, Compression compression) {
        if (compression.bits() == 0 && compression.shared() == 0) {
            return List.of();
        }
        return tensors.entrySet().stream()
                .filter(entry -> entry.getValue().dim() >= 2)
                .filter(entry -> entry.getValue().is_floating_point())
                .filter(entry -> !compression.changes(Tensors.type(entry.getValue())))
                .map(Map.Entry::getKey)
                .toList();
    }

    private static String compared(long before, long after) {
        if (after <= before) {
            return String.format(Locale.ROOT, "%.1f times fewer", (double) before / after);
        }
        return String.format(
                Locale.ROOT,
                "%.1f times more: it is too small to be compressed",
                (double) after / before);
    }

    private Map<String, Object> describe(long before, SavedModel saved, List<String> whole) {
        var description = new LinkedHashMap<String, Object>();
        description.put("model", file.toString());
        description.put("out", out.toString());
        description.put("bytes_before", before);
        description.put("bytes_after", saved.fileBytes());
        description.put("dense_bytes", saved.denseBytes());
        description.put("parameters", saved.parameters());
        description.put("sparsity", saved.sparsity());
        description.put("stored_as_they_are", whole);
        return description;
    }
}
