package io.espalier.quant.evaluation;

import io.espalier.data.Dataset;
import io.espalier.nn.Module;
import io.espalier.quant.QConfig;
import io.espalier.tensor.Engine;
import io.espalier.tensor.Needed;
import io.espalier.train.Evaluator;
import io.espalier.train.Metric;

import org.bytedeco.pytorch.Tensor;

import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Set;

/**
 * How much each layer costs when it alone is quantized; {@link #toString} is a table.
 *
 * @param metric the metric's name
 * @param reference the float model's value
 * @param layers the layers, the one that costs most first
 */
public record Sensitivity(String metric, double reference, List<Layer> layers) {
    /** Copies the list. */
    public Sensitivity {
        layers = List.copyOf(layers);
    }

    /**
     * One layer.
     *
     * @param path where it stands
     * @param score the metric's value with this layer quantized
     * @param loss how much worse that is than the float model; below 0 it is better
     */
    public record Layer(String path, double score, double loss) {}

    /** So many examples give ranges that more hardly change. */
    private static final int CALIBRATION = 500;

    /**
     * As {@link #of(Module, QConfig, List, Dataset, Metric)}, with the preset of the current engine
     * and ranges from the first 500 examples of the data.
     *
     * @throws io.espalier.tensor.EspalierException if the model has no layer to quantize
     */
    public static Sensitivity of(Module model, Dataset data, Metric metric) {
        Needed.of(model, "the model");
        Needed.of(metric, "the metric");
        Dataset few = Needed.of(data, "the dataset").take(Math.min(CALIBRATION, data.size()));
        return of(
                model,
                QConfig.forBackend(Engine.current().toString()),
                List.of(few.all().input()),
                data,
                metric);
    }

    /**
     * Quantizes one layer at a time and measures what it costs. The model is left as it is.
     *
     * @param model a float model in inference mode, fused or not
     * @param qconfig how each layer is quantized
     * @param calibration what the ranges are found on
     * @param data what the metric is measured on
     * @throws io.espalier.tensor.EspalierException if the model has no layer to quantize
     */
    public static Sensitivity of(
            Module model, QConfig qconfig, List<Tensor> calibration, Dataset data, Metric metric) {
        Needed.of(model, "the model");
        Needed.of(qconfig, "the qconfig");
        Needed.all(calibration, "the calibration data");
        Needed.of(data, "the dataset");
        Needed.of(metric, "the metric");
        Evaluator evaluator = Evaluator.of(data, metric);
        double reference = evaluator.evaluate(model);
        List<Layer> layers =
                PartialQuantization.layers(model, qconfig).stream()
                        .map(path -> {
                            Module partly =
                                    PartialQuantization.only(
                                            model, qconfig, Set.of(path), calibration);
                            double score = evaluator.evaluate(partly);
                            double loss =
                                    metric.higherIsBetter() ? reference - score : score - reference;
                            return new Layer(path, score, loss);
                        })
                        .sorted(Comparator.comparingDouble(Layer::loss).reversed())
                        .toList();
        return new Sensitivity(metric.name(), reference, layers);
    }

    @Override
    public String toString() {
        var text = new StringBuilder();
        int width = layers.stream().mapToInt(layer -> layer.path.length()).max().orElse(0);
        String row = "%-" + Math.max(width, "(float)".length()) + "s %10s %10s";
        text.append(String.format(Locale.ROOT, row, "layer", metric, "loss"));
        text.append('\n').append(line(row, "(float)", reference, 0));
        for (Layer layer : layers) {
            text.append('\n').append(line(row, layer.path, layer.score, layer.loss));
        }
        return text.toString();
    }

    private static String line(String row, String path, double score, double loss) {
        return String.format(
                Locale.ROOT,
                row,
                path,
                String.format(Locale.ROOT, "%.4f", score),
                String.format(Locale.ROOT, "%+.4f", loss));
    }
}
