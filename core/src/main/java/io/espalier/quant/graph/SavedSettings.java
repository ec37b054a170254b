package io.espalier.quant.graph;

import io.espalier.nn.Mask;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;

import java.util.Arrays;
import java.util.Map;
import java.util.OptionalLong;
import java.util.stream.Collectors;

/**
 * A float layer in a file.
 *
 * @param settings what is written of it, by name
 * @param tensors its tensors, by name
 */
record SavedSettings(Map<String, String> settings, Map<String, Tensor> tensors) {
    private static final long MOST_PADDING = 1 << 16;

    static String text(long[] numbers) {
        return Arrays.stream(numbers).mapToObj(Long::toString).collect(Collectors.joining(","));
    }

    String text(String name) {
        String found = settings.get(name);
        if (found == null) {
            throw new EspalierException(
                    "there is no '" + name + "'; there are: " + settings.keySet() + ".");
        }
        return found;
    }

    long number(String name) {
        return Long.parseLong(text(name));
    }

    OptionalLong optional(String name) {
        return settings.containsKey(name) ? OptionalLong.of(number(name)) : OptionalLong.empty();
    }

    long[] numbers(String name) {
        return Arrays.stream(text(name).split(",", -1)).mapToLong(Long::parseLong).toArray();
    }

    /** Numbers that a network may pad by; more is damage, and would run for minutes. */
    long[] paddings(String name) {
        long[] all = numbers(name);
        for (long padding : all) {
            if (padding > MOST_PADDING) {
                throw new EspalierException(
                        "'"
                                + name
                                + "' is "
                                + text(name)
                                + "; a file's paddings are at most "
                                + MOST_PADDING
                                + ".");
            }
        }
        return all;
    }

    double real(String name) {
        return Double.parseDouble(text(name));
    }

    boolean flag(String name) {
        return switch (text(name)) {
            case "true" -> true;
            case "false" -> false;
            default ->
                    throw new EspalierException(
                            "'" + name + "' is true or false; it is " + text(name) + ".");
        };
    }

    /** One extent of a tensor. */
    long size(String tensor, int dimension) {
        long[] shape = sizes(tensor);
        if (dimension >= shape.length) {
            throw new EspalierException(
                    "'" + tensor + "' has the shape " + Arrays.toString(shape) + ".");
        }
        return shape[dimension];
    }

    /** The extents of a tensor. */
    long[] sizes(String tensor) {
        Tensor found = tensors.getOrDefault(tensor, tensors.get(stored(tensor)));
        if (found == null) {
            throw new EspalierException(
                    "there is no '" + tensor + "'; there are: " + tensors.keySet() + ".");
        }
        return Tensors.shape(found);
    }

    /** The last extents of a convolution's weight, so many as it has spatial dimensions. */
    long[] kernel(String weight, int rank) {
        long[] shape = sizes(weight);
        if (shape.length != rank + 2) {
            throw new EspalierException(
                    "'" + weight + "' has the shape " + Arrays.toString(shape) + ".");
        }
        return Arrays.copyOfRange(shape, 2, shape.length);
    }

    private static String stored(String tensor) {
        return new Mask(tensor).storedName();
    }
}
