package io.espalier.onnx.tune;

import io.espalier.onnx.model.OnnxModel;
import io.espalier.tensor.EspalierException;

import java.util.Comparator;
import java.util.function.Function;

/** The best of several models; the first of those that are alike. */
final class BestFile {
    private static final String NAME = "best";

    private final Function<OnnxModel, Loss> loss;
    private final Checkpoint kept;
    private final OnnxModel first;
    private OnnxModel model;
    private Loss least;

    /**
     * What is to be as little as possible.
     *
     * @param share of results that are wrong, or how far they are off
     * @param mean what tells apart models that are alike in that: how far they are from what is
     *     right
     */
    record Loss(double share, double mean) implements Comparable<Loss> {
        @Override
        public int compareTo(Loss other) {
            return Comparator.comparingDouble(Loss::share)
                    .thenComparingDouble(Loss::mean)
                    .compare(this, other);
        }
    }

    /**
     * Begins with a model.
     *
     * @param loss of a model
     * @param kept where the best is written; what an earlier run kept there is taken if it is
     *     better
     * @throws EspalierException if the loss of the first is no number
     */
    BestFile(OnnxModel first, Function<OnnxModel, Loss> loss, Checkpoint kept) {
        this.loss = loss;
        this.kept = kept;
        this.first = first;
        this.model = first;
        this.least = loss.apply(first);
        if (Double.isNaN(least.share()) || Double.isNaN(least.mean())) {
            throw new EspalierException(
                    "What the model gives of these data holds NaN, from which nothing is learned;"
                            + " mend the model or the data.");
        }
        kept.model(NAME).ifPresent(this::offer);
    }

    /** Takes a model, if it is better. */
    void offer(OnnxModel other) {
        Loss found = loss.apply(other);
        if (found.compareTo(least) < 0) {
            least = found;
            model = other;
            kept.keep(NAME, other);
        }
    }

    /** The loss of the best. */
    Loss least() {
        return least;
    }

    OnnxModel model() {
        return model;
    }

    /** Whether none was better than the first. */
    boolean isFirst() {
        return model == first;
    }
}
