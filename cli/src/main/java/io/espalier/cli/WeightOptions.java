package io.espalier.cli;

import io.espalier.onnx.quant.EmbeddingPrecision;
import io.espalier.onnx.quant.QuantizationMode;
import io.espalier.onnx.quant.Quantizer;
import io.espalier.onnx.quant.matmul.RoundingMethod;

import org.jspecify.annotations.Nullable;

import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** The options that say how weights are written. */
final class WeightOptions {
    @Option(
            names = "--bits",
            paramLabel = "N",
            description =
                    "With --mode weight-only, bits of a weight: 8, or 4 for matrices, by ONNX"
                            + " Runtime's own operator; 8 if left out.")
    @Nullable Integer bits;

    @Option(
            names = "--block-size",
            paramLabel = "N",
            description =
                    "With --bits 4, how many weights share a scale: 16, 32, 64, 128 or 256; 32 if"
                            + " left out.")
    @Nullable Integer blockSize;

    @Option(
            names = "--rounding",
            paramLabel = "METHOD",
            description =
                    "With --bits 4, gptq (weights make up for each other's errors on the data) or"
                            + " nearest; gptq if left out.")
    @Nullable String rounding;

    @Option(
            names = "--embeddings",
            paramLabel = "PRECISION",
            description =
                    "What tables of vectors are kept in: float, int8 or int4 (tables whose rows are"
                            + " gathered, a multiple of 16 values each; int8 for others). If left"
                            + " out int8, with --bits 4 int4 for tables of 2^20 values or more,"
                            + " with --mode float16 float. Tables of less than 2^14 values stay"
                            + " float.")
    @Nullable String embeddings;

    @Option(
            names = "--portable",
            description =
                    "Write operators of the standard alone, integers between QuantizeLinear and"
                            + " DequantizeLinear.")
    boolean portable;

    @Option(
            names = "--per-tensor",
            description = "Give 8-bit weights one scale instead of one a channel.")
    boolean perTensor;

    @Spec(Spec.Target.MIXEE)
    CommandSpec command;

    /** The quantizer with what the options say; wrong use is refused. */
    Quantizer applyTo(Quantizer quantizer, QuantizationMode mode) {
        require(bits == null || bits == 8 || bits == 4, "--bits is 8 or 4, not " + bits + ".");
        boolean four = bits != null && bits == 4;
        require(
                !four || mode == QuantizationMode.WEIGHT_ONLY,
                "--bits 4 is for --mode weight-only.");
        require(four || blockSize == null, "--block-size is for --bits 4.");
        require(four || rounding == null, "--rounding is for --bits 4.");
        require(
                !portable || !(four || "int4".equals(embeddings)),
                "--portable has no 4-bit integers; leave --bits 4 and --embeddings int4 out.");
        require(
                !perTensor || !(four || mode == QuantizationMode.FLOAT16),
                "--per-tensor is for weights of 8 bits.");
        Quantizer with = four ? quantizer.bits(4) : quantizer;
        with = blockSize == null ? with : with.blockSize(blockSize);
        with = rounding == null ? with : with.rounding(method(rounding));
        with = portable ? with.portable() : with;
        with = perTensor ? with.perTensor() : with;
        return embeddings == null ? with : with.embeddings(precision(embeddings));
    }

    private RoundingMethod method(String name) {
        return switch (name) {
            case "gptq" -> RoundingMethod.GPTQ;
            case "nearest" -> RoundingMethod.NEAREST;
            default ->
                    throw misuse(
                            "--rounding is gptq or nearest, not " + Printable.line(name) + ".");
        };
    }

    private EmbeddingPrecision precision(String name) {
        return switch (name) {
            case "float" -> EmbeddingPrecision.FLOAT;
            case "int8" -> EmbeddingPrecision.INT8;
            case "int4" -> EmbeddingPrecision.INT4;
            default ->
                    throw misuse(
                            "--embeddings is float, int8 or int4, not "
                                    + Printable.line(name)
                                    + ".");
        };
    }

    private void require(boolean holds, String usage) {
        if (!holds) {
            throw misuse(usage);
        }
    }

    private ParameterException misuse(String usage) {
        return new ParameterException(command.commandLine(), usage);
    }
}
