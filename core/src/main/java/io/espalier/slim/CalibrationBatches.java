package io.espalier.slim;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;

import java.util.Arrays;
import java.util.Iterator;

/** What holds for batches that channels are chosen by. */
final class CalibrationBatches {
    private CalibrationBatches() {}

    /**
     * Refuses batches that can't be used.
     *
     * @param inputs how many the model is called with
     * @throws EspalierException if there is none, if they can't be gone through again, if one of
     *     them has no examples, or if the model takes more than a batch
     */
    static void require(Iterable<Tensor> batches, int inputs) {
        if (inputs != 1) {
            throw new EspalierException(
                    ("Calibration data for channels is batches of one input, and the model is"
                                    + " called with %d; choose by magnitude(), batchNormScale() or"
                                    + " of(Importance.gradient(…)), or put the inputs into one.")
                            .formatted(inputs));
        }
        Iterator<Tensor> first =
                Needed.given(batches.iterator(), "the iterator of the batches to calibrate with");
        if (!first.hasNext()) {
            throw new EspalierException("There is no batch to calibrate with; give at least one.");
        }
        if (!canGoAgain(batches, first)) {
            throw new EspalierException(
                    "The batches to calibrate with can be gone through once only, and are gone"
                            + " through many times; give a list of them.");
        }
        int place = 0;
        for (Tensor batch : batches) {
            place++;
            if (Tensors.requireLive(batch).numel() == 0) {
                throw new EspalierException(
                        "Batch %d to calibrate with has no examples: its shape is %s."
                                .formatted(place, Arrays.toString(Tensors.shape(batch))));
            }
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
