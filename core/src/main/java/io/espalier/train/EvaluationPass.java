package io.espalier.train;

import io.espalier.data.Batch;
import io.espalier.data.Batches;
import io.espalier.data.DataLoader;
import io.espalier.nn.Module;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;

/** One way through a dataset with a model in inference mode, and what the metrics say of it. */
record EvaluationPass(DataLoader loader, List<Metric> metrics) {
    /** Large enough that the cost of a call does not count, small enough for any memory. */
    static final int BATCH_SIZE = 250;

    EvaluationPass {
        metrics = List.copyOf(Needed.all(metrics, "the metrics"));
        if (metrics.isEmpty()) {
            throw new EspalierException("An evaluation needs at least one metric; it got none.");
        }
    }

    /** Evaluates the model, which has been trained for this many steps. */
    Scores run(Module model, long step) {
        if (loader.batches() == 0) {
            throw new EspalierException("Nothing to evaluate on: the dataset gives no batch.");
        }
        List<Metric.Measurement> measurements = metrics.stream().map(Metric::start).toList();
        try (var mode = new EvalMode(model);
                var noGrad = new NoGradGuard();
                Batches batches = loader.epoch(0)) {
            while (batches.hasNext()) {
                Batch batch = batches.next();
                try (var scope = new PointerScope()) {
                    Tensor output = model.call(batch.input());
                    measurements.forEach(m -> m.add(output, batch.target()));
                }
            }
        }
        SequencedMap<String, Double> values = new LinkedHashMap<>();
        for (int i = 0; i < metrics.size(); i++) {
            values.put(metrics.get(i).name(), measurements.get(i).value());
        }
        return new Scores(step, values);
    }

    /** Whether scores beat others in the first metric, and by at least so much. */
    boolean isBetter(Scores scores, Scores than, double minDelta) {
        if (Double.isNaN(than.first())) {
            return !Double.isNaN(scores.first());
        }
        double gain = scores.first() - than.first();
        double improvement = metrics.getFirst().higherIsBetter() ? gain : -gain;
        return improvement > 0 && improvement >= minDelta;
    }
}
