package io.espalier.onnx.quant;

import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.run.PairedTime;

import java.util.List;
import java.util.Locale;

/**
 * A quantized model, what it cost and what it brought.
 *
 * @param model the model to save
 * @param drop how far its results are from the float model's on the calibration data: 1 less their
 *     cosine, as a mean; 0 is no difference
 * @param time of the model that was given and of this one, on one batch of the data
 * @param bytesBefore of the model that was given, weights and all
 * @param bytesAfter of this model's
 * @param layers what became of each layer, in the graph's order
 */
public record QuantizationResult(
        OnnxModel model,
        double drop,
        PairedTime time,
        long bytesBefore,
        long bytesAfter,
        List<Layer> layers) {
    /** Keeps a copy of the list. */
    public QuantizationResult {
        layers = List.copyOf(layers);
    }

    /**
     * What became of a layer.
     *
     * @param name its node's name
     * @param operators what it consists of
     * @param precision {@code int8}, {@code int8 stored}, {@code int4}, {@code float16 stored} or
     *     {@code float}
     * @param why the reason in words
     */
    public record Layer(String name, String operators, String precision, String why) {}

    /** How much of the bytes is left, from 0 to 1 and above. */
    public double size() {
        return bytesBefore == 0 ? 1 : (double) bytesAfter / bytesBefore;
    }

    /** A line for each layer, and the sum of it. */
    public String table() {
        int width = layers.stream().mapToInt(layer -> layer.name().length()).max().orElse(0);
        var text = new StringBuilder();
        for (Layer layer : layers) {
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
    public String summary() {
        return String.format(
                Locale.ROOT,
                "%.2f MB -> %.2f MB (%.3f), %.2f ms -> %.2f ms (%.2fx), cosine to the float model"
                        + " %.5f",
                bytesBefore / 1e6,
                bytesAfter / 1e6,
                size(),
                time.reference(),
                time.candidate(),
                time.speedup(),
                1 - drop);
    }
}
