package io.espalier.nn;

import io.espalier.tensor.EspalierException;

import org.bytedeco.pytorch.Tensor;

/** What layers with a weight can take, whether they compute in floats or in integers. */
public final class Inputs {
    private Inputs() {}

    /**
     * Refuses what a linear layer can't take.
     *
     * @param layer whose input it is, for the error
     * @param in the size that the input's last dimension must have
     * @throws EspalierException if it has another
     */
    public static void requireFeatures(Module layer, Tensor x, long in) {
        if (x.dim() == 0 || x.size(-1) != in) {
            throw layer.wrongInput(x, "the last dimension must be " + in + ".");
        }
    }

    /**
     * Refuses what a convolution can't take.
     *
     * @param layer whose input it is, for the error
     * @param x a batch [N, C, *] or one [C, *]
     * @param rank how many dimensions follow the channels
     * @param in the number of channels that the input must have
     * @throws EspalierException if it has other dimensions, or another number of channels
     */
    public static void requireChannels(Module layer, Tensor x, int rank, long in) {
        if (x.dim() != rank + 2 && x.dim() != rank + 1) {
            throw layer.wrongInput(
                    x,
                    "a tensor of " + (rank + 1) + " or " + (rank + 2) + " dimensions is needed.");
        }
        if (x.size(x.dim() - rank - 1) != in) {
            throw layer.wrongInput(x, "the input must have " + in + " channels.");
        }
    }
}
