package io.espalier.nn;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Internal;

import org.bytedeco.pytorch.Tensor;

import java.util.Arrays;

/** What layers with a weight can take, whether they compute in floats or in integers. */
@Internal
public final class LayerInputs {
    private LayerInputs() {}

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

    /**
     * Refuses an input that a window does not fit into: some integer kernels read beyond it.
     *
     * @param layer whose input it is, for the error
     * @param x of shape [*, D1, …], as many dimensions as the window at the end
     * @param window the window's extent along each dimension, with its gaps
     * @param before what is added before each dimension
     * @param after what is added after each
     * @throws EspalierException if it is smaller, with its padding
     */
    public static void requireWindow(
            Module layer, Tensor x, long[] window, long[] before, long[] after) {
        for (int d = 0; d < window.length; d++) {
            long size = x.size(x.dim() - window.length + d) + before[d] + after[d];
            if (size < window[d]) {
                throw layer.wrongInput(
                        x,
                        "the input, "
                                + size
                                + " with its padding, is smaller than the kernel, "
                                + window[d]
                                + ".");
            }
        }
    }

    /**
     * The error of a layer whose kernel can't count so many elements.
     *
     * @param shape of what is too large
     */
    public static EspalierException tooLarge(Module layer, Tensor x, long[] shape) {
        return layer.wrongInput(
                x,
                "the int8 kernels take and give at most "
                        + Integer.MAX_VALUE
                        + " elements; a tensor would have the shape "
                        + Arrays.toString(shape)
                        + ".");
    }

    /**
     * Refuses an input of which nothing would be left.
     *
     * @param layer whose input it is, for the error
     * @param sizes what the output's spatial sizes would be
     * @throws EspalierException if one is below 1
     */
    public static void requireOutput(Module layer, Tensor x, long... sizes) {
        for (long size : sizes) {
            if (size < 1) {
                throw layer.wrongInput(x, "the input is too small: the output would be empty.");
            }
        }
    }
}
