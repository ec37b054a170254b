package io.espalier.cli;

import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.tune.OnnxPruner;
import io.espalier.onnx.tune.PrunedModel;
import io.espalier.onnx.tune.PrunedModel.Layer;
import io.espalier.tensor.Libtorch;

import org.jspecify.annotations.Nullable;

import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

import java.io.PrintWriter;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Puts zeros into an ONNX model's weights. */
@Command(
        name = "prune",
        description =
                "Prunes an ONNX model by masks: the weights of its convolutions, products and"
                    + " recurrent layers get zeros, all else in the file stays as it is. 'finetune'"
                    + " brings accuracy back and keeps the zeros; the file is as large as before,"
                    + " until it is compressed or stored sparse.",
        footer = {
            "",
            "Example: espalier prune ocr.onnx -o ocr-sparse.onnx --amount 0.5 --keep '*head*'"
        })
final class PruneCommand implements Runnable {
    private static final Pattern N_OF_M = Pattern.compile("(\\d{1,6}):(\\d{1,6})");
    private static final double HALF = 0.5;

    @Mixin ResultFile files;

    @Option(
            names = "--amount",
            paramLabel = "SHARE",
            description = "The share of the weights to prune, from 0 to 1; 0.5 if left out.")
    @Nullable Double amount;

    @Option(
            names = "--per-layer",
            description =
                    "Take the share of each layer by itself; of all together, most where weights"
                            + " are small, if left out.")
    boolean perLayer;

    @Option(
            names = "--n-m",
            paramLabel = "N:M",
            description =
                    "Keep N of every M neighbours along a layer's inputs, such as 2:4, instead of a"
                            + " share.")
    @Nullable String nOfM;

    @Option(
            names = "--method",
            paramLabel = "METHOD",
            defaultValue = "l1",
            description =
                    "Which weights go: l1, those of smallest magnitude, or random; l1 if left"
                            + " out.")
    String method;

    @Option(
            names = "--keep",
            paramLabel = "PATTERN",
            description =
                    "Leave layers as they are whose node or weight has this name; * stands for"
                            + " anything. May be repeated.")
    List<String> keep = List.of();

    @Option(
            names = "--seed",
            paramLabel = "N",
            description = "The number that --method random draws from; 0 if left out.")
    @Nullable Long seed;

    @Option(
            names = "--sparse-storage",
            description =
                    "Store weights that are mostly zeros as the standard's sparse initializers,"
                        + " which take less where seven in ten and more are 0; ONNX Runtime makes"
                        + " them whole when it loads the file.")
    boolean sparseStorage;

    @Mixin Report report;

    @Spec CommandSpec spec;

    @Override
    public void run() {
        OnnxPruner pruner = Usage.of(spec, () -> pruner().keep(keep.toArray(String[]::new)));
        files.requirePlace(Map.of());
        try (var lock = files.lock()) {
            write(pruner);
        }
    }

    private void write(OnnxPruner pruner) {
        Libtorch.seed(seed == null ? 0 : seed);
        OnnxModel original = OnnxModel.load(files.model);
        files.requireApart(original);
        files.tellOfWeights(original);
        PrunedModel pruned = pruner.prune(original);
        OnnxModel stored = sparseStorage ? pruned.model().storedSparse(true) : pruned.model();
        stored.save(files.out);
        report.print(() -> describe(pruned), printer -> print(pruned, printer));
    }

    private OnnxPruner pruner() {
        boolean random = method.equals("random");
        require(
                random || method.equals("l1"),
                "--method is l1 or random, not " + Printable.line(method) + ".");
        require(seed == null || random, "--seed is for --method random.");
        if (nOfM != null) {
            require(amount == null, "--n-m says how much is pruned; leave --amount out.");
            require(!random, "--n-m keeps the largest of each group; leave --method out.");
            require(!perLayer, "--n-m keeps as many in each layer; leave --per-layer out.");
            return groups(nOfM);
        }
        double share = amount == null ? HALF : amount;
        require(share >= 0 && share <= 1, "--amount is a share from 0 to 1, not " + share + ".");
        OnnxPruner pruner = random ? OnnxPruner.random(share) : OnnxPruner.l1(share);
        return perLayer ? pruner.perLayer() : pruner;
    }

    private OnnxPruner groups(String text) {
        Matcher parts = N_OF_M.matcher(text);
        require(
                parts.matches(),
                "--n-m is two numbers such as 2:4, not " + Printable.line(text) + ".");
        return OnnxPruner.nOfM(Integer.parseInt(parts.group(1)), Integer.parseInt(parts.group(2)));
    }

    private void require(boolean holds, String usage) {
        if (!holds) {
            throw new ParameterException(spec.commandLine(), usage);
        }
    }

    private void print(PrunedModel pruned, PrintWriter printer) {
        var table = new Table(2, "layer", "operator", "weights", "zeros", "sparsity", "");
        for (Layer layer : pruned.layers()) {
            table.row(
                    layer.name(),
                    layer.operator(),
                    Table.count(layer.elements()),
                    Table.count(layer.zeros()),
                    Table.percent(layer.sparsity()),
                    layer.note());
        }
        table.row(
                        "all",
                        "",
                        Table.count(pruned.elements()),
                        Table.count(pruned.zeros()),
                        Table.percent(pruned.sparsity()),
                        "")
                .lines()
                .forEach(printer::println);
        printer.printf(
                "%n%s: %s; %s: %s.%n",
                files.model,
                Table.megabytes(ModelFiles.bytes(files.model)),
                files.out,
                Table.megabytes(ModelFiles.bytes(files.out)));
    }

    private Map<String, Object> describe(PrunedModel pruned) {
        var description = new LinkedHashMap<String, Object>();
        description.put("model", files.model.toString());
        description.put("out", files.out.toString());
        description.put("weights", pruned.elements());
        description.put("zeros", pruned.zeros());
        description.put("sparsity", pruned.sparsity());
        description.put("bytes_before", ModelFiles.bytes(files.model));
        description.put("bytes_after", ModelFiles.bytes(files.out));
        description.put("layers", pruned.layers());
        return description;
    }
}
