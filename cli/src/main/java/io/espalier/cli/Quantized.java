package io.espalier.cli;

import io.espalier.onnx.quant.QuantizationMode;
import io.espalier.onnx.quant.QuantizationOutcome;
import io.espalier.onnx.quant.QuantizationResult.Layer;
import io.espalier.tensor.EspalierException;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;

/**
 * What came of a quantization, as it is printed.
 *
 * @param from the model that came in
 * @param to where the result is written
 */
record Quantized(Path from, Path to, QuantizationMode mode, QuantizationOutcome outcome) {
    /** Times of one model differ by as much from run to run. */
    private static final double NOISE = 0.98;

    /** A cosine of the results below a half is no matter of rounding. */
    private static final double ASTRAY = 0.5;

    /** Whether the results have little to do with those of the model that came in. */
    boolean isAstray() {
        return outcome.drop() > ASTRAY;
    }

    /** Throws what speaks against writing the result. */
    void requireGain() {
        if (isAstray()) {
            throw new EspalierException(
                    String.format(
                            Locale.ROOT,
                            "The results would have little to do with those of %s: their cosine is"
                                    + " %.5f. Nothing was written; --force writes it.",
                            from,
                            1 - outcome.drop()));
        }
        double speedup = outcome.time().speedup();
        boolean slower = speedup < NOISE;
        if (slower || outcome.size() > 1) {
            throw ResultFile.noGain(from, slower, speedup, outcome.size());
        }
    }

    /**
     * Prints it.
     *
     * @param explain whether to say what became of each layer
     */
    void print(boolean explain, PrintWriter printer) {
        if (explain) {
            var table = new Table(1, "layer", "operators", "precision", "why");
            for (Layer layer : outcome.layers()) {
                table.row(layer.name(), layer.operators(), layer.precision(), layer.why());
            }
            table.lines().forEach(printer::println);
            printer.println();
        }
        long before = ModelFiles.bytes(from);
        long after = ModelFiles.bytes(to);
        new Table(1, "model", "size", "of model", "ms a run", "speed")
                .row(row(from, before, 1, outcome.time().reference(), 1))
                .row(
                        row(
                                to,
                                after,
                                (double) after / before,
                                outcome.time().candidate(),
                                outcome.time().speedup()))
                .lines()
                .forEach(printer::println);
        printer.printf(
                Locale.ROOT,
                "%n%s; cosine to the float model %.5f on the calibration data%s.%n",
                StoredShare.of(outcome.layers(), mode),
                1 - outcome.drop(),
                outcome.score().map(score -> ", " + score.summary()).orElse(""));
    }

    private static String[] row(
            Path file, long bytes, double share, double millis, double speedup) {
        return new String[] {
            file.toString(),
            Table.megabytes(bytes),
            String.format(Locale.ROOT, "%.3f", share),
            String.format(Locale.ROOT, "%.3f", millis),
            String.format(Locale.ROOT, "%.2f x", speedup)
        };
    }

    /** The same for programs. */
    Map<String, Object> describe() {
        var description = new LinkedHashMap<String, Object>();
        description.put("model", from.toString());
        description.put("out", to.toString());
        description.put("bytes_before", ModelFiles.bytes(from));
        description.put("bytes_after", ModelFiles.bytes(to));
        description.put("latency_ms_before", outcome.time().reference());
        description.put("latency_ms_after", outcome.time().candidate());
        description.put("speedup", outcome.time().speedup());
        description.put("drop", outcome.drop());
        outcome.score()
                .ifPresent(score -> {
                    description.put("metric", score.metric());
                    description.put("score_before", score.reference());
                    description.put("score_after", score.candidate());
                });
        description.put("layers", outcome.layers());
        return description;
    }
}
