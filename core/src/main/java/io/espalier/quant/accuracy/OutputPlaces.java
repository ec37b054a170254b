package io.espalier.quant.accuracy;

import io.espalier.nn.Convolution;
import io.espalier.nn.Module;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;

import java.util.Arrays;
import java.util.Random;

/**
 * The places of a layer's output over the examples and the spatial dimensions, and where in the
 * input lies what each is computed from. A Linear layer is seen as a convolution without spatial
 * dimensions.
 */
final class OutputPlaces {
    /** The padded input: examples, channels, and the spatial dimensions. */
    private final long examples;

    private final long channels;
    private final long[] size;
    private final long[] kernel;
    private final long[] stride;
    private final long[] dilation;
    private final long[] output;

    private OutputPlaces(
            long[] input, int batchDimensions, long[] kernel, long[] stride, long[] dilation) {
        this.examples = product(Arrays.copyOf(input, batchDimensions));
        this.channels = input[batchDimensions];
        this.size = Arrays.copyOfRange(input, batchDimensions + 1, input.length);
        this.kernel = kernel;
        this.stride = stride;
        this.dilation = dilation;
        this.output = new long[size.length];
        Arrays.setAll(output, d -> (size[d] - dilation[d] * (kernel[d] - 1) - 1) / stride[d] + 1);
    }

    /** The places of the output for an input that is padded already. */
    static OutputPlaces of(Module layer, Tensor padded) {
        long[] shape = Tensors.shape(padded);
        return layer instanceof Convolution convolution
                ? new OutputPlaces(
                        shape,
                        shape.length - 1 - convolution.kernelSize().length,
                        convolution.kernelSize(),
                        convolution.stride(),
                        convolution.dilation())
                : new OutputPlaces(shape, shape.length - 1, new long[0], new long[0], new long[0]);
    }

    private static long product(long... factors) {
        return Arrays.stream(factors).reduce(1, Math::multiplyExact);
    }

    /** How many there are. */
    long count() {
        return examples * product(output);
    }

    /**
     * Draws places at random, or takes the first if that is all of them.
     *
     * @return for each the flat indices of its inputs, [drawn, channels · kernel]
     */
    Tensor draw(int drawn, Random random) {
        long[] corners = new long[drawn];
        for (int i = 0; i < drawn; i++) {
            corners[i] = corner(drawn == count() ? i : random.nextLong(count()));
        }
        long[] offsets = offsets();
        return Tensors.of(corners, drawn, 1).add(Tensors.of(offsets, 1, offsets.length));
    }

    /** The flat index of the first input of the place with this number. */
    private long corner(long place) {
        long rest = place;
        long index = 0;
        long step = 1;
        for (int d = size.length - 1; d >= 0; d--) {
            index += rest % output[d] * stride[d] * step;
            rest /= output[d];
            step *= size[d];
        }
        return index + rest * channels * step;
    }

    /** The distances from a place's first input to each of its inputs, the kernel innermost. */
    private long[] offsets() {
        long[] offsets = new long[Math.toIntExact(channels * product(kernel))];
        for (int i = 0; i < offsets.length; i++) {
            long rest = i;
            long step = 1;
            for (int d = size.length - 1; d >= 0; d--) {
                offsets[i] += rest % kernel[d] * dilation[d] * step;
                rest /= kernel[d];
                step *= size[d];
            }
            offsets[i] += rest * step;
        }
        return offsets;
    }
}
