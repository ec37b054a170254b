package io.espalier.train;

import io.espalier.data.DataLoader;
import io.espalier.data.Dataset;
import io.espalier.nn.Module;
import io.espalier.tensor.Needed;

import java.util.List;

/** Says how good a model is, in one number. */
@FunctionalInterface
public interface Evaluator {
    /** The model's value; the model is afterwards as it was before. */
    double evaluate(Module model);

    /**
     * Measures a metric on a dataset: in inference mode, without gradients, in batches of 250.
     * Afterwards every module is in the mode it was in.
     */
    static Evaluator of(Dataset dataset, Metric metric) {
        return of(new DataLoader(dataset, EvaluationPass.BATCH_SIZE), metric);
    }

    /** Measures a metric on the batches of a loader. */
    static Evaluator of(DataLoader loader, Metric metric) {
        var pass = new EvaluationPass(loader, List.of(Needed.of(metric, "the metric")));
        return model -> pass.run(model, 0).first();
    }

    /** The share of a dataset's examples that a classifier gets right, 0 to 1. */
    static Evaluator accuracy(Dataset dataset) {
        return of(dataset, Metrics.accuracy());
    }
}
