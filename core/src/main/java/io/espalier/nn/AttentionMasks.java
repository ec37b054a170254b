package io.espalier.nn;

import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.jspecify.annotations.Nullable;

import java.util.Arrays;

/** What the masks of a {@link MultiheadAttention} add to its scores [N, heads, L, S]. */
final class AttentionMasks {
    private final MultiheadAttention layer;
    private final ScalarType type;
    private final long batch;
    private final long length;
    private final long keys;

    /**
     * For a query and a key.
     *
     * @param query [N, heads, L, size]
     * @param key [N, heads, S, size]
     */
    AttentionMasks(MultiheadAttention layer, Tensor query, Tensor key) {
        this.layer = layer;
        this.type = Tensors.type(query);
        this.batch = query.size(0);
        this.length = query.size(2);
        this.keys = key.size(2);
    }

    /** Both masks as one that broadcasts to the scores; {@code null} if neither is defined. */
    @Nullable Tensor both(Tensor leftOut, Tensor attention) {
        Tensor byKey = leftOut.defined() ? byKey(leftOut) : null;
        if (!attention.defined()) {
            return byKey;
        }
        Tensor byPair = byPair(attention);
        return byKey == null ? byPair : Functional.add(byPair, byKey);
    }

    private Tensor byKey(Tensor leftOut) {
        require("the keys to leave out", leftOut, batch, keys);
        Tensor added = additive(leftOut);
        return leftOut.dim() == 2
                ? Functional.unsqueeze(Functional.unsqueeze(added, 1), 1)
                : Functional.reshape(added, -1, 1, 1, keys);
    }

    private Tensor byPair(Tensor attention) {
        if (attention.dim() != 3) {
            require("the attention's mask", attention, length, keys);
            return additive(attention);
        }
        require("the attention's mask", attention, batch * layer.numHeads(), length, keys);
        return Functional.unflatten(additive(attention), 0, -1, layer.numHeads());
    }

    private void require(String what, Tensor mask, long... shape) {
        if (mask.numel() != Arrays.stream(shape).reduce(1, (a, b) -> a * b)
                || mask.size(-1) != shape[shape.length - 1]) {
            throw layer.wrongInput(
                    mask, what + " must be of shape " + Arrays.toString(shape) + ".");
        }
    }

    private Tensor additive(Tensor mask) {
        if (Tensors.type(mask) == ScalarType.Bool) {
            Tensor zeros = Functional.mul(Functional.cast(mask, type), 0);
            return Functional.maskedFill(zeros, mask, Double.NEGATIVE_INFINITY);
        }
        if (!mask.is_floating_point()) {
            throw layer.wrongInput(
                    mask, "a mask is Bool or of floats; it is " + Tensors.type(mask) + ".");
        }
        return mask;
    }
}
