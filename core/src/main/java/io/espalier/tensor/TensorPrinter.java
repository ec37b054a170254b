package io.espalier.tensor;

import org.bytedeco.pytorch.Tensor;

import java.util.Arrays;
import java.util.Locale;
import java.util.function.IntFunction;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * Prints a tensor as PyTorch does: four decimals, aligned columns, long dimensions shortened in the
 * middle.
 */
final class TensorPrinter {
    /**
     * PyTorch's defaults: above this many elements a dimension shows its first and last {@link
     * #EDGE} only.
     */
    private static final int THRESHOLD = 1000;

    private static final int EDGE = 3;

    private final long[] shape;
    private final IntFunction<String> element;
    private final boolean shortened;
    private final int width;

    private TensorPrinter(long[] shape, int count, IntFunction<String> element) {
        this.shape = shape;
        this.element = element;
        this.shortened = count > THRESHOLD;
        this.width = IntStream.range(0, count).map(i -> element.apply(i).length()).max().orElse(0);
    }

    static String print(Tensor tensor) {
        boolean real = tensor.is_floating_point();
        int count = Math.toIntExact(tensor.numel());
        IntFunction<String> element;
        if (real) {
            float[] values = Tensors.floats(tensor);
            boolean whole = allWhole(values);
            element = i -> number(values[i], whole);
        } else {
            long[] values = Tensors.longs(tensor);
            element = i -> Long.toString(values[i]);
        }
        String body =
                new TensorPrinter(Tensors.shape(tensor), count, element).dimension(0, 0, count);
        return "tensor(" + body + ")";
    }

    private static boolean allWhole(float[] values) {
        for (float value : values) {
            if (value != Math.rint(value)) {
                return false;
            }
        }
        return true;
    }

    private static String number(float value, boolean whole) {
        if (Float.isNaN(value)) {
            return "nan";
        }
        if (Float.isInfinite(value)) {
            return value > 0 ? "inf" : "-inf";
        }
        return whole
                ? String.format(Locale.ROOT, "%.0f.", value)
                : String.format(Locale.ROOT, "%.4f", value);
    }

    private String dimension(int depth, int from, int count) {
        if (depth == shape.length) {
            return " ".repeat(width - element.apply(from).length()) + element.apply(from);
        }
        int size = Math.toIntExact(shape[depth]);
        if (size == 0) {
            return "[]";
        }
        int stride = count / size;
        String separator =
                depth == shape.length - 1
                        ? ", "
                        : ","
                                .concat("\n".repeat(shape.length - 1 - depth))
                                .concat(" ".repeat("tensor([".length() + depth));
        return Arrays.stream(shown(size))
                .mapToObj(i -> i < 0 ? "..." : dimension(depth + 1, from + i * stride, stride))
                .collect(Collectors.joining(separator, "[", "]"));
    }

    /** The indices to print along a dimension, −1 where some are left out. */
    private int[] shown(int size) {
        if (!shortened || size <= 2 * EDGE) {
            return IntStream.range(0, size).toArray();
        }
        return IntStream.concat(
                        IntStream.concat(IntStream.range(0, EDGE), IntStream.of(-1)),
                        IntStream.range(size - EDGE, size))
                .toArray();
    }
}
