package io.espalier.cli;

import io.espalier.onnx.run.ModelRuntime;

import org.jspecify.annotations.Nullable;

import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

import java.nio.file.Path;
import java.util.Locale;

/** Holds one model's outputs, size and speed against another's. */
@Command(
        name = "compare",
        description =
                "Compares two ONNX files, two saved graphs, or a saved graph with the ONNX file"
                    + " that it was made of, on the same inputs: how far the outputs are apart,"
                    + " sizes and times, the models taking turns; with ONNX files also memory, and"
                    + " each layer where ONNX Runtime runs both.",
        footer = {
            "",
            "Of ONNX files, layers are values that have one name, one shape and real numbers in"
                    + " both.",
            "A saved graph (Quantization.save of what Quantization.quantize gives) holds its"
                    + " program. Other files hold a model's tensors alone, and need its Java code:"
                    + " compare such models in a program, by Evaluation.compare.",
            "Example: espalier compare ocr.onnx ocr-int8.onnx --data lines --image-size 48x320"
                    + " --mean 0.5 --std 0.5",
            "Example: espalier compare ocr.onnx ocr-int8.safetensors --data lines --image-size"
                    + " 48x320 --mean 0.5 --std 0.5",
            "Example: espalier compare mild.safetensors strong.safetensors --data digits.npz"
        })
final class Compare implements Runnable {
    private static final int MOST_THREADS = 1024;

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

    @Option(
            names = "--runtime",
            paramLabel = "RUNTIME",
            converter = RuntimeWord.class,
            description =
                    "What runs CAND: onnxruntime or libtorch; if left out, ONNX Runtime runs ONNX"
                            + " files and libtorch saved graphs.")
    @Nullable ModelRuntime runtime;

    @Mixin Report report;

    @Spec CommandSpec spec;

    @Override
    public void run() {
        require(layers >= 0, "--layers is 0 or more, not " + layers + ".");
        require(threads >= 0, "--threads is 0 or more, not " + threads + ".");
        require(
                threads <= MOST_THREADS,
                "--threads is at most " + MOST_THREADS + ", not " + threads + ".");
        require(
                isOnnx(reference) || !isOnnx(candidate),
                "A saved graph is compared with another one, or beside an ONNX file that comes"
                        + " first.");
        require(
                runtime != ModelRuntime.ONNX_RUNTIME || isOnnx(candidate),
                "A saved graph is run by libtorch, not by ONNX Runtime.");
        if (isOnnx(reference)) {
            boolean libtorch = runtime == ModelRuntime.LIBTORCH || !isOnnx(candidate);
            new OnnxComparison(reference, candidate, libtorch, inputs, layers, threads).run(report);
        } else {
            inputs.requireNone("--layers", "--threads");
            new GraphComparison(reference, candidate, inputs).run(report);
        }
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
