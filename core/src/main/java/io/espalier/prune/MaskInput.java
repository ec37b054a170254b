package io.espalier.prune;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;

/**
 * What a mask is computed from.
 *
 * @param values the parameter, without gradient and before any mask
 * @param importance the scores to go by in its place, or {@code null}
 * @param mask what earlier pruning left, or {@code null}
 */
record MaskInput(Tensor values, @Nullable Tensor importance, @Nullable Tensor mask) {
    /** What single entries are ranked by; of an entry that is pruned already it says nothing. */
    Tensor entryScores() {
        return importance == null ? values : importance;
    }

    /**
     * What channels and patterns are ranked by: the scores, or the values as the mask leaves them.
     */
    Tensor wholeScores() {
        return importance == null ? maskedValues() : importance;
    }

    Tensor maskedValues() {
        return mask == null ? values : values.mul(mask);
    }

    Tensor maskOrOnes() {
        return mask == null ? torch.ones_like(values) : mask;
    }

    MaskInput withMask(Tensor newMask) {
        return new MaskInput(values, importance, newMask);
    }
}
