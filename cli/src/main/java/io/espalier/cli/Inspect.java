package io.espalier.cli;

import io.espalier.onnx.run.ModelRuntime;
import io.espalier.state.SavedModel;
import io.espalier.state.StoredTensor;
import io.espalier.state.StoredTensor.Kind;
import io.espalier.state.TensorFile;

import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** Prints what a saved model consists of. */
@Command(
        name = "inspect",
        description =
                "Shows what a saved model is made of: its layers, the program of a saved graph with"
                        + " what each step costs, and each tensor's type, shape, bytes and"
                        + " sparsity. Of an ONNX model: its inputs and outputs, its operators, its"
                        + " largest layers and what they cost, and the bytes of its weights.",
        footer = {
            "",
            "A pruned parameter (NAME_orig with NAME_mask) is one line; its zeros are what the mask"
                    + " leaves out, and its bytes are both.",
            "MACs are multiplications with an addition, for one input.",
            "Examples: espalier inspect model.safetensors",
            "          espalier inspect model.onnx --input x=1x3x48x320 --program"
        })
final class Inspect implements Runnable {
    private static final String EXTENTS = "\\d+(x\\d+)*";

    @Parameters(
            index = "0",
            paramLabel = "MODEL",
            description = "A safetensors file, a compressed one, or an ONNX model (*.onnx).")
    Path file;

    @Option(
            names = "--program",
            description = "Print an ONNX model's graph as a program, each value with its type.")
    boolean program;

    @Option(
            names = "--input",
            paramLabel = "NAME=EXTENTS",
            description =
                    "Count an ONNX model's cost for an input of these extents, such as"
                            + " x=1x3x48x320; for several inputs, several times.")
    Map<String, String> inputs = new LinkedHashMap<>();

    @Option(
            names = "--runtime",
            paramLabel = "RUNTIME",
            converter = RuntimeWord.class,
            defaultValue = "onnxruntime",
            description =
                    "Show an ONNX model as it is (onnxruntime), or as libtorch would run it"
                            + " (libtorch): the program that it becomes, with what each step costs;"
                            + " ${DEFAULT-VALUE} if left out.")
    ModelRuntime runtime = ModelRuntime.ONNX_RUNTIME;

    @Mixin Report report;

    @Spec CommandSpec spec;

    @Override
    public void run() {
        if (file.toString().toLowerCase(Locale.ROOT).endsWith(".onnx")) {
            inspectOnnx();
        } else {
            inspect();
        }
    }

    private void inspectOnnx() {
        if (runtime == ModelRuntime.LIBTORCH) {
            var lowered = LoweredInspection.of(file, extents());
            report.print(
                    lowered::describe,
                    out -> lowered.lines().forEach(line -> out.println(Printable.line(line))));
            return;
        }
        var inspection = OnnxInspection.of(file, extents());
        report.print(
                () -> inspection.describe(program),
                out -> (program ? inspection.program() : inspection.lines()).forEach(out::println));
    }

    private Map<String, List<Long>> extents() {
        var extents = new LinkedHashMap<String, List<Long>>();
        inputs.forEach((name, text) -> {
            if (!text.matches(EXTENTS) || text.length() > 100) {
                throw wrong("--input wants extents such as 1x3x48x320, not '" + text + "'.");
            }
            try {
                extents.put(name, Arrays.stream(text.split("x", -1)).map(Long::valueOf).toList());
            } catch (NumberFormatException _) {
                throw wrong("--input wants extents that can be counted, not '" + text + "'.");
            }
        });
        return extents;
    }

    private ParameterException wrong(String sentence) {
        return new ParameterException(spec.commandLine(), sentence);
    }

    private void inspect() {
        if (program || !inputs.isEmpty()) {
            throw wrong("--program and --input are for ONNX models (*.onnx).");
        }
        if (spec.commandLine().getParseResult().hasMatchedOption("--runtime")) {
            throw wrong("--runtime is for ONNX models (*.onnx); libtorch runs other files.");
        }
        SavedModel model = read();
        report.print(() -> describe(model), out -> print(model, out));
    }

    private SavedModel read() {
        int tensors;
        try (var open = TensorFile.open(file)) {
            tensors = open.kinds().size();
        }
        try (var progress = Progress.of("Reading", tensors)) {
            return SavedModel.read(file, progress::step);
        }
    }

    private static void print(SavedModel model, PrintWriter out) {
        model.tree().ifPresent(tree -> out.println(Printable.lines(tree) + "\n"));
        SavedProgram.of(model)
                .ifPresent(program -> {
                    program.lines().forEach(line -> out.println(Printable.line(line)));
                    out.println();
                });
        boolean compressed =
                model.tensors().stream().anyMatch(each -> each.bytes() != each.denseBytes());
        var table = new Table(4, columns(compressed));
        for (StoredTensor tensor : model.tensors()) {
            var row = new ArrayList<String>();
            row.add(tensor.name());
            row.add(kind(tensor.kind()));
            row.add(tensor.dtype());
            row.add(tensor.shape().toString());
            row.add(Table.count(tensor.elements()));
            row.add(Table.count(tensor.bytes()));
            if (compressed) {
                row.add(Table.count(tensor.denseBytes()));
            }
            row.add(Table.percent(tensor.sparsity()));
            table.row(row.toArray(String[]::new));
        }
        table.lines().forEach(out::println);
        out.println();
        out.printf(
                "%s parameters, %s of them zero; the file has %s bytes (%s):%n",
                Table.count(model.parameters()),
                Table.percent(model.sparsity()),
                Table.count(model.fileBytes()),
                Table.megabytes(model.fileBytes()));
        parts(model).forEach(out::println);
        if (compressed) {
            long dense = model.denseBytes();
            out.printf(
                    Locale.ROOT,
                    "The tensors take %s bytes in memory, %.1f times as many as the file has.%n",
                    Table.count(dense),
                    (double) dense / model.fileBytes());
        }
    }

    private static String[] columns(boolean compressed) {
        String first = "tensor,kind,type,shape,elements,bytes";
        return (first + (compressed ? ",dense,zeros" : ",zeros")).split(",", -1);
    }

    /** What the file's bytes are for. */
    private static List<String> parts(SavedModel model) {
        var lines = new ArrayList<String>();
        long header = model.fileBytes();
        for (Kind kind : Kind.values()) {
            long bytes = model.bytes(kind);
            header -= bytes;
            if (bytes > 0) {
                lines.add("  " + Table.count(bytes) + " of " + name(kind));
            }
        }
        lines.add("  " + Table.count(header) + " of the header");
        return lines;
    }

    private static String name(Kind kind) {
        return switch (kind) {
            case PARAMETER -> "parameters";
            case MASKED -> "pruned parameters and their masks";
            case BUFFER -> "buffers";
            case SETTING -> "scales and zero points";
            case BEST -> "the best model so far";
            case OPTIMIZER -> "the optimizer's state";
            case GENERATOR -> "the random generator's state";
        };
    }

    private static Map<String, Object> describe(SavedModel model) {
        var description = new LinkedHashMap<String, Object>();
        description.put("file", model.file().toString());
        description.put("bytes", model.fileBytes());
        description.put("dense_bytes", model.denseBytes());
        description.put("parameters", model.parameters());
        description.put("sparsity", model.sparsity());
        var bytes = new LinkedHashMap<String, Long>();
        for (Kind kind : Kind.values()) {
            bytes.put(kind(kind), model.bytes(kind));
        }
        description.put("bytes_by_kind", bytes);
        model.tree().ifPresent(tree -> description.put("tree", tree));
        SavedProgram.of(model).ifPresent(program -> description.put("program", program.describe()));
        description.put("tensors", model.tensors().stream().map(Inspect::describe).toList());
        return description;
    }

    private static Map<String, Object> describe(StoredTensor tensor) {
        var description = new LinkedHashMap<String, Object>();
        description.put("name", tensor.name());
        description.put("kind", kind(tensor.kind()));
        description.put("dtype", tensor.dtype());
        description.put("shape", tensor.shape());
        description.put("elements", tensor.elements());
        description.put("bytes", tensor.bytes());
        description.put("dense_bytes", tensor.denseBytes());
        description.put("sparsity", tensor.sparsity());
        return description;
    }

    private static String kind(Kind kind) {
        return kind.name().toLowerCase(Locale.ROOT);
    }
}
