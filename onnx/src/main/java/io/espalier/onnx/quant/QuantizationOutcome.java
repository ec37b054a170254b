package io.espalier.onnx.quant;

import io.espalier.onnx.compare.TaskScore;
import io.espalier.onnx.quant.QuantizationResult.Layer;
import io.espalier.onnx.run.PairedTime;

import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/** What quantizing a model came to, for whichever runtime. */
public sealed interface QuantizationOutcome permits QuantizationResult, LibtorchResult {
    /**
     * How far the results are from the float model's on the calibration data: 1 less their cosine,
     * as a mean; 0 is no difference.
     */
    double drop();

    /**
     * How much the float model and this one get right of the calibration data; empty where no
     * labels say what is right.
     */
    Optional<TaskScore> score();

    /** Of the model that was given and of this one, each in its runtime, on one batch. */
    PairedTime time();

    /** Of the model that was given, weights and all. */
    long bytesBefore();

    /** Of this model. */
    long bytesAfter();

    /** What became of each layer, in the graph's order. */
    List<Layer> layers();

    /**
     * Writes the model.
     *
     * @throws io.espalier.tensor.EspalierException if the file can't be written
     */
    void save(Path file);

    /** How much of the bytes is left, from 0 to 1 and above. */
    default double size() {
        return bytesBefore() == 0 ? 1 : (double) bytesAfter() / bytesBefore();
    }

    /** A line for each layer, and the sum of it. */
    default String table() {
        int width = layers().stream().mapToInt(layer -> layer.name().length()).max().orElse(0);
        var text = new StringBuilder();
        for (Layer layer : layers()) {
            text.append(
                    ("%-" + Math.max(width, 1) + "s  %-12s  %s (%s)%n")
                            .formatted(
                                    layer.name(),
                                    layer.precision(),
                                    layer.operators(),
                                    layer.why()));
        }
        return text + summary();
    }

    /** Size, speed and accuracy in a line. */
    default String summary() {
        return String.format(
                        Locale.ROOT,
                        "%.2f MB -> %.2f MB (%.3f), %.2f ms -> %.2f ms (%.2fx), cosine to the float"
                                + " model %.5f",
                        bytesBefore() / 1e6,
                        bytesAfter() / 1e6,
                        size(),
                        time().reference(),
                        time().candidate(),
                        time().speedup(),
                        1 - drop())
                + score().map(score -> ", " + score.summary()).orElse("");
    }
}
