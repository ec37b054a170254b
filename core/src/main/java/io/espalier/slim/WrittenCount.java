package io.espalier.slim;

import io.espalier.graph.Node.OperatorCall;

import org.jspecify.annotations.Nullable;

import java.util.List;
import java.util.function.ToLongFunction;

/**
 * A number in a program that counts channels: it came out of the model's code, which may have read
 * it off a tensor or may have it written down.
 *
 * @param place where it is
 * @param axes the channels that it counts
 * @param after what it has to be when some have gone
 */
record WrittenCount(Place place, List<Axis> axes, ToLongFunction<Cut> after) {
    /**
     * Where a number is.
     *
     * @param node the step, counted from the first, 0
     * @param attribute its name
     * @param element its place in a list; -1 for a number alone
     */
    record Place(int node, String attribute, int element) {
        /** The number that a step has there; null if it follows from sizes, or there is none. */
        @Nullable Long in(OperatorCall call) {
            Object value = call.attribute(attribute).orElse(null);
            if (element >= 0 && value instanceof List<?> list && element < list.size()) {
                value = list.get(element);
            }
            return value instanceof Long number ? number : null;
        }
    }

    /** Whether it counts something that goes. */
    boolean isCut(Cut cut) {
        return axes.stream().anyMatch(cut::cuts);
    }
}
