package io.espalier.quant.evaluation;

import java.util.List;
import java.util.Locale;

/**
 * What quantization cost and what it gave; {@link #toString} is a table.
 *
 * @param metric the metric's name
 * @param reference the float model
 * @param quantized the quantized one
 * @param layers each quantized layer's error, in the order of the model
 */
public record Comparison(String metric, Figures reference, Figures quantized, List<Layer> layers) {
    /** Copies the list. */
    public Comparison {
        layers = List.copyOf(layers);
    }

    /**
     * One model's figures.
     *
     * @param score the metric's value on the data
     * @param bytes the size of its parameters and buffers
     * @param milliseconds the median time of a call on the first batch
     */
    public record Figures(double score, long bytes, double milliseconds) {}

    /**
     * How far one layer's output is from the float model's. The errors of the layers before it are
     * in it.
     *
     * @param path where it stands
     * @param weightSqnr the weight's signal-to-quantization-noise ratio in decibel; NaN without one
     * @param outputSqnr the output's ratio in decibel; below 20 a layer hurts
     * @param saturated the share of output values at the end of the integer range, 0…1
     */
    public record Layer(String path, double weightSqnr, double outputSqnr, double saturated) {}

    /** How many times faster the quantized model is; below 1 it is slower. */
    public double speedup() {
        return reference.milliseconds / quantized.milliseconds;
    }

    /** The quantized model's share of the float model's bytes. */
    public double sizeRatio() {
        return (double) quantized.bytes / reference.bytes;
    }

    @Override
    public String toString() {
        var text = new StringBuilder();
        line(text, "%-12s %12s %12s%n", "", "float", "quantized");
        line(text, "%-12s %12.4f %12.4f%n", metric, reference.score, quantized.score);
        line(
                text,
                "%-12s %12d %12d  (%.2f)%n",
                "bytes",
                reference.bytes,
                quantized.bytes,
                sizeRatio());
        line(
                text,
                "%-12s %12.3f %12.3f  (%s)%n",
                "ms a batch",
                reference.milliseconds,
                quantized.milliseconds,
                inWords(speedup()));
        int width = layers.stream().mapToInt(layer -> layer.path.length()).max().orElse(0);
        String paths = "%-" + Math.max(width, "layer".length()) + "s";
        line(
                text,
                "%n" + paths + " %12s %12s %12s",
                "layer",
                "weight dB",
                "output dB",
                "saturated");
        for (Layer layer : layers) {
            line(
                    text,
                    "%n" + paths + " %12s %12s %11.2f%%",
                    layer.path,
                    decibel(layer.weightSqnr),
                    decibel(layer.outputSqnr),
                    100 * layer.saturated);
        }
        return text.toString();
    }

    private static String inWords(double speedup) {
        return speedup < 1
                ? String.format(Locale.ROOT, "%.1f times slower", 1 / speedup)
                : String.format(Locale.ROOT, "%.1f times faster", speedup);
    }

    private static String decibel(double value) {
        return Double.isNaN(value) ? "-" : String.format(Locale.ROOT, "%.1f", value);
    }

    @SuppressWarnings("AnnotateFormatMethod") // Error Prone's annotation would be a dependency
    private static void line(StringBuilder text, String format, Object... values) {
        text.append(String.format(Locale.ROOT, format, values));
    }
}
