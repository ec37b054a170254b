package io.espalier.train;

import org.bytedeco.pytorch.Tensor;

/**
 * A number that says how good a model is on a dataset. It is taken up batch by batch, in memory
 * that does not grow.
 */
public interface Metric {
    /** What it is called in results, such as {@code "accuracy"}. */
    String name();

    /** Whether more is better, as of an accuracy, or less, as of a loss. */
    default boolean higherIsBetter() {
        return true;
    }

    /** Begins a new measurement. */
    Measurement start();

    /** One measurement in progress. */
    interface Measurement {
        /**
         * Takes up one batch.
         *
         * @param output what the model gave, [N, …]
         * @param target what was wanted, [N, …]
         */
        void add(Tensor output, Tensor target);

        /** The value over all that was taken up; NaN where nothing was. */
        double value();
    }
}
