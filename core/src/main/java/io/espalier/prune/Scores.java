package io.espalier.prune;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;

import java.util.Arrays;

/** What holds for numbers that entries are ranked by. */
final class Scores {
    private Scores() {}

    /**
     * Refuses scores that cannot be ranked.
     *
     * @throws EspalierException naming the first place that is not a number
     */
    static void requireNumbers(Tensor scores) {
        Tensor wrong = scores.isnan();
        if (wrong.any().item_bool()) {
            long[] place = Tensors.longs(wrong.nonzero().select(0, 0));
            throw new EspalierException(
                    "NaN at index "
                            + Arrays.toString(place)
                            + " can't be ranked; repair it, or give importance scores without"
                            + " NaN.");
        }
    }
}
