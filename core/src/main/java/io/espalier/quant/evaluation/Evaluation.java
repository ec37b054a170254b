package io.espalier.quant.evaluation;

import io.espalier.data.Batches;
import io.espalier.data.DataLoader;
import io.espalier.data.Dataset;
import io.espalier.graph.GraphModule;
import io.espalier.nn.Module;
import io.espalier.quant.GraphQuantization;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;
import io.espalier.train.EvalMode;
import io.espalier.train.Evaluator;
import io.espalier.train.Latency;
import io.espalier.train.Metric;
import io.espalier.train.Metrics;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;

import java.util.List;

/** Holds a quantized model against its float original. */
public final class Evaluation {
    /**
     * The size of a batch for the layers' errors and the times: as in serving, not as in training.
     */
    private static final int BATCH_SIZE = 64;

    /** Layers' errors settle after a few batches. */
    private static final int BATCHES = 4;

    /** How often each model is timed. */
    private static final int TIMINGS = 15;

    private Evaluation() {}

    /**
     * Compares classifiers by accuracy.
     *
     * @see #compare(Module, Module, Dataset, Metric)
     */
    public static Comparison compare(Module reference, Module quantized, Dataset data) {
        return compare(reference, quantized, data, Metrics.accuracy());
    }

    /**
     * Compares two models on a dataset: the metric over all of it, size, time of a call (both
     * models in turns), and each quantized layer's error on the first batches, which shows the
     * layer that hurts. Both models are left as they are.
     *
     * @param reference the float model, fused or not
     * @param quantized a converted copy of it, or a quantized graph of it
     * @throws EspalierException if the dataset is empty, or a model can't take its inputs
     */
    public static Comparison compare(
            Module reference, Module quantized, Dataset data, Metric metric) {
        Needed.of(reference, "the float model");
        Needed.of(quantized, "the quantized model");
        Needed.of(metric, "the metric");
        if (Needed.of(data, "the dataset").size() == 0) {
            throw new EspalierException("Models can't be compared on an empty dataset.");
        }
        Evaluator evaluator = Evaluator.of(data, metric);
        double referenceScore = evaluator.evaluate(reference);
        double quantizedScore = evaluator.evaluate(quantized);
        try (var one = new EvalMode(reference);
                var other = new EvalMode(quantized);
                var noGrad = new NoGradGuard()) {
            List<Comparison.Layer> layers = layers(reference, quantized, data);
            double[] times = times(reference, quantized, data);
            return new Comparison(
                    metric.name(),
                    new Comparison.Figures(referenceScore, bytes(reference), times[0]),
                    new Comparison.Figures(quantizedScore, bytes(quantized), times[1]),
                    layers);
        }
    }

    private static List<Comparison.Layer> layers(Module reference, Module quantized, Dataset data) {
        Module counterpart = counterpart(reference, quantized, data);
        try (var errors = new LayerErrors(counterpart, quantized);
                Batches batches = new DataLoader(data, BATCH_SIZE).iterator()) {
            for (int i = 0; i < BATCHES && batches.hasNext(); i++) {
                try (var scope = new PointerScope()) {
                    Tensor input = batches.next().input();
                    counterpart.call(input);
                    quantized.call(input);
                }
            }
            return errors.layers();
        }
    }

    /** The float model with layers at the places that the quantized ones have. */
    private static Module counterpart(Module reference, Module quantized, Dataset data) {
        if (!(quantized instanceof GraphModule graph)) {
            return reference;
        }
        try (Batches batches = new DataLoader(data, BATCH_SIZE).iterator()) {
            return GraphQuantization.fusedAs(reference, batches.next().input(), graph);
        }
    }

    /** The medians in milliseconds, of the reference and of the quantized model. */
    private static double[] times(Module reference, Module quantized, Dataset data) {
        try (Batches batches = new DataLoader(data, BATCH_SIZE).iterator()) {
            return Latency.medians(List.of(reference, quantized), TIMINGS, batches.next().input());
        }
    }

    private static long bytes(Module model) {
        return model.stateDict().values().stream().mapToLong(Tensor::nbytes).sum();
    }
}
