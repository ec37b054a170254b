package io.espalier.onnx.lower;

import io.espalier.graph.GraphOperator;
import io.espalier.graph.Size;
import io.espalier.graph.Value;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/**
 * How a kernel moves over its input: all that is written at its node, one number for each spatial
 * dimension.
 *
 * @param before what is put before the input
 * @param after what is put after it
 */
record Window(
        List<Long> kernel,
        List<Long> strides,
        List<Long> dilations,
        List<Long> before,
        List<Long> after) {
    private static final String SAME_UPPER = "SAME_UPPER";
    private static final String SAME_LOWER = "SAME_LOWER";

    /** The window of a node over its first input. */
    static Window of(Call call, List<Long> kernel) {
        return of(call, kernel, Layout.isChannelsLast(call) ? 1 : 2);
    }

    private static Window of(Call call, List<Long> kernel, int firstSpatial) {
        int rank = kernel.size();
        List<Long> strides = orOnes(call, "strides", rank);
        List<Long> dilations = orOnes(call, "dilations", rank);
        String auto = call.node.text("auto_pad", "NOTSET");
        List<Long> pads = call.node.integers("pads");
        if (auto.equals("VALID") || (pads.isEmpty() && !isSame(auto))) {
            List<Long> none = Call.repeated(rank, 0);
            return new Window(kernel, strides, dilations, none, none);
        }
        if (!isSame(auto)) {
            if (pads.size() != 2 * rank) {
                throw call.refused("its pads " + pads + " are not two for each dimension");
            }
            return new Window(
                    kernel,
                    strides,
                    dilations,
                    pads.subList(0, rank),
                    pads.subList(rank, 2 * rank));
        }
        List<Long> before = new ArrayList<>();
        List<Long> after = new ArrayList<>();
        for (int i = 0; i < rank; i++) {
            long reach = (kernel.get(i) - 1) * dilations.get(i) + 1;
            long stride = strides.get(i);
            long total;
            if (stride == 1) {
                total = reach - 1;
            } else {
                long length = call.length(0, i + firstSpatial);
                total = Math.max((Math.ceilDiv(length, stride) - 1) * stride + reach - length, 0);
            }
            long less = total / 2;
            before.add(auto.equals(SAME_UPPER) ? less : total - less);
            after.add(auto.equals(SAME_UPPER) ? total - less : less);
        }
        return new Window(kernel, strides, dilations, before, after);
    }

    static boolean isSame(String auto) {
        return auto.equals(SAME_UPPER) || auto.equals(SAME_LOWER);
    }

    static boolean putsMoreAfter(String auto) {
        return auto.equals(SAME_UPPER);
    }

    static List<Long> orOnes(Call call, String attribute, int rank) {
        List<Long> given = call.node.integers(attribute);
        if (!given.isEmpty() && given.size() != rank) {
            throw call.refused(
                    "its %s %s are not one for each of %d dimensions"
                            .formatted(attribute, given, rank));
        }
        return given.isEmpty() ? Call.repeated(rank, 1) : given;
    }

    int rank() {
        return kernel.size();
    }

    boolean isEven() {
        return before.equals(after);
    }

    /** Whether it takes something off its input. */
    boolean isNegative() {
        return before.stream().anyMatch(side -> side < 0)
                || after.stream().anyMatch(side -> side < 0);
    }

    boolean isDilated() {
        return dilations.stream().anyMatch(dilation -> dilation != 1);
    }

    /** Whether the kernels of pooling pad so: evenly, by half a kernel at most. */
    boolean isPooled() {
        for (int i = 0; i < rank(); i++) {
            if (before.get(i) < 0 || 2 * before.get(i) > kernel.get(i)) {
                return false;
            }
        }
        return isEven();
    }

    /** The same without padding. */
    Window unpadded() {
        List<Long> none = Call.repeated(rank(), 0);
        return new Window(kernel, strides, dilations, none, none);
    }

    /** An input with this padding around it. */
    Value pad(Call call, Value x, double with) {
        List<Object> sides = new ArrayList<>();
        for (int i = rank() - 1; i >= 0; i--) {
            sides.add(before.get(i));
            sides.add(after.get(i));
        }
        return call.apply(GraphOperator.PAD, Map.of("pad", sides, "value", with), x);
    }

    static long[] array(List<Long> numbers) {
        return numbers.stream().mapToLong(Long::longValue).toArray();
    }

    static GraphOperator byRank(Call call, int rank, GraphOperator... operators) {
        if (rank < 1 || rank > operators.length) {
            throw call.refused(
                    "it has %d spatial dimensions; libtorch has %s"
                            .formatted(rank, Arrays.toString(operators)));
        }
        return operators[rank - 1];
    }

    /** The length of what a window gives along a dimension, if that of its input is known. */
    static Size fixed(long length) {
        return new Size.Fixed(length);
    }
}
