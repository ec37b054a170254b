package io.espalier.onnx.shape;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.List;

/** Pieces from one place to another along dimensions, in steps. */
final class Slices {
    /** What exporters write for the end, and beyond. */
    private static final long END = Integer.MAX_VALUE;

    private Slices() {}

    /**
     * One dimension's part.
     *
     * @param start as it is given: negative from the end
     * @param end as it is given
     */
    record Part(int axis, Extent start, Extent end, long step) {}

    static void infer(Call call) {
        call.give(0, call.type(0));
        List<Extent> shape = call.shape(0);
        call.give(0, call.unknowns(shape.size()));
        var sliced = new ArrayList<>(shape);
        for (Part part : parts(call)) {
            Extent length = length(part, shape.get(part.axis));
            sliced.set(part.axis, length == null ? call.unknown() : length);
        }
        call.give(0, sliced);
    }

    static List<Part> parts(Call call) {
        boolean attributes = call.node.has("starts");
        List<Extent> starts = attributes ? fixed(call, "starts") : call.wholes(1);
        List<Extent> ends = attributes ? fixed(call, "ends") : call.wholes(2);
        List<Long> axes = attributes ? call.node.integers("axes") : optional(call, 3);
        List<Long> steps = attributes ? List.of() : optional(call, 4);
        if (ends.size() != starts.size()
                || (!axes.isEmpty() && axes.size() != starts.size())
                || (!steps.isEmpty() && steps.size() != starts.size())) {
            throw new Undecided();
        }
        var parts = new ArrayList<Part>();
        for (int i = 0; i < starts.size(); i++) {
            long step = steps.isEmpty() ? 1 : steps.get(i);
            if (step == 0 || step == Long.MIN_VALUE) {
                throw new Undecided();
            }
            parts.add(
                    new Part(
                            Call.axis(axes.isEmpty() ? i : axes.get(i), call.rank(0)),
                            starts.get(i),
                            ends.get(i),
                            step));
        }
        return parts;
    }

    private static List<Extent> fixed(Call call, String attribute) {
        return call.node.integers(attribute).stream().map(Extent::of).toList();
    }

    private static List<Long> optional(Call call, int place) {
        return call.has(place) ? call.longs(place) : List.of();
    }

    /** How many elements a part takes of so many; null if it can't be told. */
    static @Nullable Extent length(Part part, Extent of) {
        boolean forward = part.step > 0;
        Extent start = place(part.start, of, forward, true);
        Extent end = place(part.end, of, forward, false);
        if (start == null || end == null) {
            return null;
        }
        Extent span = forward ? end.minus(start) : start.minus(end);
        long step = Math.abs(part.step);
        return span.plus(step - 1).over(step).max(Extent.ZERO);
    }

    /** Where the part begins or ends, counted from the front and within the tensor. */
    static @Nullable Extent place(Extent given, Extent of, boolean forward, boolean isStart) {
        Extent last = forward ? of : of.plus(-1);
        Extent first = forward || isStart ? Extent.ZERO : Extent.of(-1);
        if (given.isKnown() && given.value() >= END) {
            return last;
        }
        if (given.isKnown() && given.value() <= -END) {
            return first;
        }
        if (given.least() >= 0) {
            return given.min(last);
        }
        return given.most() < 0 ? given.plus(of).max(first).min(last) : null;
    }
}
