package io.espalier.prune;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Internal;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.Arrays;

/** What holds for numbers that entries are ranked by. */
@Internal
public final class EntryScores {
    private EntryScores() {}

    /**
     * Refuses scores that aren't one for each entry.
     *
     * @param of what they are for
     * @param entries the parameter's
     * @throws EspalierException saying which shape they have
     */
    public static Tensor requireEach(@Nullable Tensor scores, Object of, Tensor entries) {
        if (scores == null) {
            throw new EspalierException(
                    "The importance gives no scores for " + of + "; give one for each entry.");
        }
        if (!Arrays.equals(Tensors.shape(scores), Tensors.shape(entries))) {
            throw new EspalierException(
                    "The importance scores for "
                            + of
                            + " have shape "
                            + Arrays.toString(Tensors.shape(scores))
                            + "; give one score for each entry.");
        }
        return scores;
    }

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
