package io.espalier.slim;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;

import java.util.Arrays;

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
        int place = 0;
        for (Tensor batch : Needed.repeatable(batches, "the batches to calibrate with")) {
            place++;
            if (Tensors.requireLive(batch).numel() == 0) {
                throw new EspalierException(
                        "Batch %d to calibrate with has no examples: its shape is %s."
                                .formatted(place, Arrays.toString(Tensors.shape(batch))));
            }
        }
        if (place == 0) {
            throw new EspalierException("There is no batch to calibrate with; give at least one.");
        }
    }
}
