package io.espalier.slim;

import io.espalier.tensor.EspalierException;

import org.bytedeco.pytorch.Tensor;

import java.util.Iterator;

/** What holds for batches that channels are chosen by. */
final class CalibrationBatches {
    private CalibrationBatches() {}

    /**
     * Refuses batches that can't be used.
     *
     * @param inputs how many the model is called with
     * @throws EspalierException if there is none, if they can't be gone through again, or if the
     *     model takes more than a batch
     */
    static void require(Iterable<Tensor> batches, int inputs) {
        if (inputs != 1) {
            throw new EspalierException(
                    ("Calibration data for channels is batches of one input, and the model is"
                                    + " called with %d; choose by magnitude(), batchNormScale() or"
                                    + " of(Importance.gradient(…)), or put the inputs into one.")
                            .formatted(inputs));
        }
        Iterator<Tensor> first = batches.iterator();
        if (!first.hasNext()) {
            throw new EspalierException("There is no batch to calibrate with; give at least one.");
        }
        if (!canGoAgain(batches, first)) {
            throw new EspalierException(
                    "The batches to calibrate with can be gone through once only, and are gone"
                            + " through many times; give a list of them.");
        }
    }

    @SuppressWarnings("ReferenceEquality") // It is about which iterator it is.
    private static boolean canGoAgain(Iterable<Tensor> batches, Iterator<Tensor> first) {
        try {
            return batches.iterator() != first;
        } catch (IllegalStateException e) {
            return false; // As a stream's, of which there is one.
        }
    }
}
