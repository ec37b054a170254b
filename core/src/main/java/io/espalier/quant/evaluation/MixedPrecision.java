package io.espalier.quant.evaluation;

import io.espalier.data.Dataset;
import io.espalier.nn.Module;
import io.espalier.quant.QConfig;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;
import io.espalier.train.Evaluator;
import io.espalier.train.Metric;

import org.bytedeco.pytorch.Tensor;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * A model quantized but for a few layers, which stay in float to keep its accuracy.
 *
 * @param model the converted model
 * @param inFloat the paths of the layers that were left in float
 * @param score the metric's value of {@code model}
 * @param reference the metric's value of the float model
 */
public record MixedPrecision(Module model, List<String> inFloat, double score, double reference) {
    /** Copies the list. */
    public MixedPrecision {
        inFloat = List.copyOf(inFloat);
    }

    /**
     * Leaves layers in float, the most sensitive first, until the model is good enough; where the
     * losses of the layers add up, no smaller number would do. The model that is given is left as
     * it is.
     *
     * @param model a float model in inference mode, fused or not
     * @param qconfig how layers are quantized
     * @param calibration what the ranges are found on
     * @param data what the metric is measured on
     * @param maxLoss how much worse than the float model the result may be, in the metric's unit
     * @throws EspalierException if {@code maxLoss} is negative, the model has no layer to quantize,
     *     or even a single quantized layer costs more
     */
    public static MixedPrecision find(
            Module model,
            QConfig qconfig,
            List<Tensor> calibration,
            Dataset data,
            Metric metric,
            double maxLoss) {
        Needed.of(model, "the model");
        Needed.of(qconfig, "the qconfig");
        Needed.all(calibration, "the calibration data");
        Needed.of(data, "the dataset");
        Needed.of(metric, "the metric");
        if (!(maxLoss >= 0)) {
            throw new EspalierException(
                    "The loss that is allowed must be 0 or more; got " + maxLoss + ".");
        }
        Sensitivity sensitivity = Sensitivity.of(model, qconfig, calibration, data, metric);
        Evaluator evaluator = Evaluator.of(data, metric);
        List<String> ranked = sensitivity.layers().stream().map(Sensitivity.Layer::path).toList();
        Set<String> quantized = new HashSet<>(ranked);
        List<String> inFloat = new ArrayList<>();
        for (String next : ranked) {
            Module mixed = PartialQuantization.only(model, qconfig, quantized, calibration);
            double score = evaluator.evaluate(mixed);
            double loss =
                    metric.higherIsBetter()
                            ? sensitivity.reference() - score
                            : score - sensitivity.reference();
            if (loss <= maxLoss) {
                return new MixedPrecision(mixed, inFloat, score, sensitivity.reference());
            }
            quantized.remove(next);
            inFloat.add(next);
        }
        throw new EspalierException(
                "No layer can be quantized within a loss of "
                        + maxLoss
                        + " in "
                        + metric.name()
                        + "; allow more, or calibrate on other data.");
    }
}
