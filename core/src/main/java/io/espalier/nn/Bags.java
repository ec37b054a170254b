package io.espalier.nn;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Internal;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.jspecify.annotations.Nullable;

import java.util.Arrays;
import java.util.List;

/**
 * The inputs of an {@link EmbeddingBag}, or of a layer in its place, checked and in one form.
 *
 * @param indices what is looked up, Long [M], one bag after the other
 * @param offsets where each bag begins, Long [N]
 * @param weights what each vector counts, [M], or {@code null}
 */
@Internal
public record Bags(Tensor indices, Tensor offsets, @Nullable Tensor weights) {
    /**
     * Reads a layer's inputs.
     *
     * @param layer whose inputs they are, for the errors
     * @param options the layer's options
     * @param inputs indices [N, L], or indices [M] and offsets [N]; then weights, if the mode is
     *     sum
     * @throws EspalierException if shapes, types or offsets are wrong, or there are weights for
     *     another mode
     */
    public static Bags of(Module layer, EmbeddingBag.Options options, List<Tensor> inputs) {
        if (inputs.isEmpty()) {
            throw new EspalierException(layer.typeName() + " was called without indices.");
        }
        Tensor indices = requireIntegers(layer, "indices", inputs.getFirst());
        if (indices.dim() != 1 && indices.dim() != 2) {
            throw layer.wrongInput(indices, "indices have 1 or 2 dimensions.");
        }
        int before = indices.dim() == 1 ? 2 : 1;
        if (inputs.size() < before || inputs.size() > before + 1) {
            throw new EspalierException(
                    layer.typeName()
                            + " takes "
                            + (before == 2 ? "flat indices, their offsets" : "indices [N, L]")
                            + " and, for sums, weights; it was called with "
                            + inputs.size()
                            + (inputs.size() == 1 ? " tensor." : " tensors."));
        }
        Tensor weights = inputs.size() > before ? inputs.getLast() : null;
        if (weights != null) {
            requireWeights(layer, options, indices, weights);
        }
        return before == 2
                ? flat(layer, options, indices, inputs.get(1), weights)
                : rows(indices, weights);
    }

    private static Bags rows(Tensor indices, @Nullable Tensor weights) {
        long length = indices.size(1);
        Tensor offsets =
                torch.arange(new Scalar(indices.size(0)))
                        .to(ScalarType.Long)
                        .mul(new Scalar(length));
        return new Bags(indices.reshape(-1), offsets, weights == null ? null : weights.reshape(-1));
    }

    private static Bags flat(
            Module layer,
            EmbeddingBag.Options options,
            Tensor indices,
            Tensor given,
            @Nullable Tensor weights) {
        Tensor offsets = requireIntegers(layer, "offsets", given);
        long count = indices.size(0);
        if (offsets.dim() != 1
                || (offsets.size(0) == 0 && (count > 0 || options.includeLastOffset()))) {
            throw layer.wrongInput(
                    offsets, "offsets have 1 dimension, with a number for each bag.");
        }
        long[] starts = Tensors.longs(offsets);
        for (int i = 0; i < starts.length; i++) {
            long least = i == 0 ? 0 : starts[i - 1];
            if (starts[i] < least || starts[i] > count || (i == 0 && starts[i] != 0)) {
                throw new EspalierException(
                        layer.typeName()
                                + " needs offsets that rise from 0 to at most the number of"
                                + " indices, "
                                + count
                                + "; got "
                                + Arrays.toString(starts)
                                + ".");
            }
        }
        if (!options.includeLastOffset()) {
            return new Bags(indices, offsets, weights);
        }
        long end = starts[starts.length - 1];
        return new Bags(
                indices.narrow(0, 0, end),
                offsets.narrow(0, 0, starts.length - 1L),
                weights == null ? null : weights.narrow(0, 0, end));
    }

    private static Tensor requireIntegers(Module layer, String what, Tensor tensor) {
        ScalarType type = Tensors.type(tensor);
        if (type != ScalarType.Long && type != ScalarType.Int) {
            throw layer.wrongInput(tensor, what + " are Long or Int; these are " + type + ".");
        }
        return tensor.to(ScalarType.Long);
    }

    private static void requireWeights(
            Module layer, EmbeddingBag.Options options, Tensor indices, Tensor weights) {
        if (options.mode() != EmbeddingBag.Mode.SUM) {
            throw new EspalierException(
                    layer.typeName()
                            + " takes weights for sums only; its mode is "
                            + options.mode()
                            + ".");
        }
        if (!Arrays.equals(Tensors.shape(indices), Tensors.shape(weights))) {
            throw layer.wrongInput(
                    indices,
                    "weights have the shape of the indices; these have "
                            + Arrays.toString(Tensors.shape(weights))
                            + ".");
        }
    }
}
