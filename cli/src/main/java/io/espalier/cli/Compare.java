package io.espalier.cli;

import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.Locale;

/** Holds one model's outputs, size and speed against another's. */
@Command(
        name = "compare",
        description =
                "Compares two ONNX files, or two saved graphs, on the same inputs: how far the"
                        + " outputs are apart, sizes and times, the models taking turns; of ONNX"
                        + " files also memory and each layer.",
        footer = {
            "",
            "Of ONNX files, layers are values that have one name, one shape and real numbers in"
                    + " both.",
            "A saved graph (Quantization.save of what Quantization.quantize gives) holds its"
                    + " program. Other files hold a model's tensors alone, and need its Java code:"
                    + " compare such models in a program, by Evaluation.compare.",
            "Example: espalier compare ocr.onnx ocr-int8.onnx --data lines --image-size 48x320"
                    + " --mean 0.5 --std 0.5",
            "Example: espalier compare mild.safetensors strong.safetensors --data digits.npz"
        })
final class Compare implements Runnable {
    @Parameters(
            index = "0",
            paramLabel = "REF",
            description = "The model that is held to be right.")
    Path reference;

    @Parameters(
            index = "1",
            paramLabel = "CAND",
            description = "The model that is compared with it.")
    Path candidate;

    @Mixin InputOptions inputs;

    @Option(
            names = "--layers",
            paramLabel = "N",
            defaultValue = "10",
            description =
                    "Of ONNX files, print the N layers that are furthest apart; ${DEFAULT-VALUE} if"
                            + " left out, none are compared for 0.")
    int layers;

    @Option(
            names = "--threads",
            paramLabel = "N",
            defaultValue = "0",
            description = "Threads that run an ONNX file; one for each core if left out.")
    int threads;

    @Option(names = "--json", description = "Print one JSON object instead of a table.")
    boolean json;

    @Spec CommandSpec spec;

    @Override
    public void run() {
        require(layers >= 0, "--layers is 0 or more, not " + layers + ".");
        require(threads >= 0, "--threads is 0 or more, not " + threads + ".");
        require(
                isOnnx(reference) == isOnnx(candidate),
                "An ONNX file is compared with another one, not with a saved graph.");
        PrintWriter out = spec.commandLine().getOut();
        if (isOnnx(reference)) {
            new OnnxComparison(reference, candidate, inputs, layers, threads).run(json, out);
        } else {
            inputs.requireNone("--layers", "--threads");
            new GraphComparison(reference, candidate, inputs).run(json, out);
        }
        out.flush();
    }

    private static boolean isOnnx(Path file) {
        return file.toString().toLowerCase(Locale.ROOT).endsWith(".onnx");
    }

    private void require(boolean holds, String usage) {
        if (!holds) {
            throw new ParameterException(spec.commandLine(), usage);
        }
    }
}
