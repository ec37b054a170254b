package io.espalier.cli;

import io.espalier.compress.Compressed;
import io.espalier.compress.Compression;
import io.espalier.state.SafeTensors;
import io.espalier.state.SavedModel;
import io.espalier.tensor.EspalierException;

import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

import java.nio.file.Path;
import java.util.LinkedHashMap;
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
                    "Round weights (tensors of two and more dimensions) to integers of 8 or 4 bits"
                            + " with a scale for each output.")
    int bits;

    @Option(
            names = "--share",
            paramLabel = "N",
            description =
                    "Give each weight at most 2^N different values, found by k-means; 1 to 8.")
    int share;

    @Option(names = "--force", description = "Replace OUT if it is there.")
    boolean force;

    @Mixin Report report;

    @Spec CommandSpec spec;

    @Override
    public void run() {
        Compression compression = Usage.of(spec, () -> new Compression(bits, share));
        WrittenPlace.requireOther(out, file);
        WrittenPlace.require(out);
        WrittenPlace.requireFree(out, force);
        try (var lock = WriteLock.ofFile(out)) {
            write(compression);
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
        report.print(
                () -> describe(before, saved),
                printer ->
                        printer.printf(
                                "%s: %s bytes; %s: %s bytes, %.1f times fewer; %s parameters, %s of"
                                        + " them zero.%n",
                                file,
                                Table.count(before),
                                out,
                                Table.count(saved.fileBytes()),
                                (double) before / saved.fileBytes(),
                                Table.count(saved.parameters()),
                                Table.percent(saved.sparsity())));
    }

    private Map<String, Object> describe(long before, SavedModel saved) {
        var description = new LinkedHashMap<String, Object>();
        description.put("model", file.toString());
        description.put("out", out.toString());
        description.put("bytes_before", before);
        description.put("bytes_after", saved.fileBytes());
        description.put("dense_bytes", saved.denseBytes());
        description.put("parameters", saved.parameters());
        description.put("sparsity", saved.sparsity());
        return description;
    }
}
