package io.espalier.onnx.lower;

import io.espalier.graph.GraphOperator;
import io.espalier.graph.Size;
import io.espalier.graph.Value;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Parts of tensors, and tensors put together of parts. */
final class PartOperators {
    /** What exporters write for the end, or the beginning, of whatever length. */
    private static final long FAR = Integer.MAX_VALUE;

    private PartOperators() {}

    static void addTo(Map<String, OperatorLowering> table) {
        table.put("Concat", PartOperators::concatenate);
        table.put("Split", PartOperators::split);
        table.put("Slice", PartOperators::slice);
        table.put("Pad", PartOperators::pad);
    }

    private static void concatenate(Call call) {
        Value[] parts = new Value[call.inputs()];
        for (int i = 0; i < parts.length; i++) {
            parts[i] = call.in(i);
        }
        call.give(
                call.apply(GraphOperator.CAT, Map.of("dim", call.node.integer("axis", 0)), parts));
    }

    private static void split(Call call) {
        long axis = call.node.integer("axis", 0);
        int results = call.node.outputs().size();
        List<Value> parts;
        if (call.node.has("split") || call.has(1)) {
            List<?> sizes =
                    call.node.has("split") ? call.node.integers("split") : call.requireIntegers(1);
            parts =
                    call.applyAll(
                            GraphOperator.SPLIT_WITH_SIZES,
                            results,
                            Map.of("split_sizes", sizes, "dim", axis),
                            call.in(0));
        } else {
            Size length = new Size.OfOperand(call.axis(axis, 0));
            Size size = new Size.Over(new Size.Plus(length, results - 1L), results);
            parts =
                    call.applyAll(
                            GraphOperator.SPLIT,
                            results,
                            Map.of("split_size", size, "dim", axis),
                            call.in(0));
        }
        for (int i = 0; i < results; i++) {
            call.give(i, parts.get(i));
        }
    }

    private static void slice(Call call) {
        List<Object> starts = numbers(call, "starts", 1);
        List<Object> ends = numbers(call, "ends", 2);
        List<Long> axes = call.longs("axes", 3);
        List<Long> steps = call.has(4) ? call.longs(4) : Call.repeated(starts.size(), 1);
        Value x = call.in(0);
        for (int i = 0; i < starts.size(); i++) {
            int axis = call.axis(axes == null ? i : axes.get(i), 0);
            Size start = size(starts.get(i));
            Size end = size(ends.get(i));
            x =
                    steps.get(i) > 0
                            ? range(call, x, axis, start, end, steps.get(i))
                            : backwards(call, x, axis, start, end, -steps.get(i));
        }
        call.give(x);
    }

    private static List<Object> numbers(Call call, String attribute, int place) {
        return List.copyOf(
                call.node.has(attribute)
                        ? call.node.integers(attribute)
                        : call.requireIntegers(place));
    }

    private static Size size(Object number) {
        return number instanceof Size size ? size : new Size.Fixed(((Number) number).longValue());
    }

    private static Value range(Call call, Value x, int axis, Size start, Size end, long step) {
        boolean all = start.equals(new Size.Fixed(0)) && isFar(end) && step == 1;
        if (all) {
            return x;
        }
        Map<String, Object> attributes = new HashMap<>(Map.of("dim", axis, "start", start));
        if (!isFar(end)) {
            attributes.put("end", end);
        }
        attributes.put("step", step);
        return call.apply(GraphOperator.SLICE, attributes, x);
    }

    private static boolean isFar(Size size) {
        return size instanceof Size.Fixed(long number) && number >= FAR;
    }

    /** As a range of the tensor turned round. */
    private static Value backwards(Call call, Value x, int axis, Size start, Size end, long step) {
        Value turned = call.apply(GraphOperator.FLIP, Map.of("dims", List.of(axis)), x);
        Size length = call.shape(0).get(axis);
        return range(
                call, turned, axis, fromEnd(start, length, axis), fromEnd(end, length, axis), step);
    }

    /** Where an index lies when it is counted from the other end. */
    private static Size fromEnd(Size index, Size length, int axis) {
        if (index instanceof Size.Fixed(long number)) {
            if (number < 0) {
                return new Size.Fixed(number <= -FAR ? FAR : -number - 1);
            }
            if (number >= FAR) {
                return new Size.Fixed(0);
            }
            if (length instanceof Size.Fixed(long all)) {
                return new Size.Fixed(Math.max(all - 1 - number, 0));
            }
        }
        Size last = new Size.Plus(new Size.OfOperand(axis), -1);
        Size place = new Size.Joined(Size.Join.DIFFERENCE, last, index);
        return new Size.Joined(Size.Join.MAX, place, new Size.Fixed(0));
    }

    private static void pad(Call call) {
        List<Object> pads = numbers(call, "pads", 1);
        List<Long> axes = call.has(3) ? call.longs(3) : null;
        int rank = call.rank(0);
        Size[] before = new Size[rank];
        Size[] after = new Size[rank];
        int padded = pads.size() / 2;
        for (int i = 0; i < padded; i++) {
            int axis = call.axis(axes == null ? i : axes.get(i), 0);
            before[axis] = size(pads.get(i));
            after[axis] = size(pads.get(padded + i));
        }
        String mode =
                switch (call.node.text("mode", "constant")) {
                    case "edge" -> "replicate";
                    case "wrap" -> "circular";
                    case String other -> other;
                };
        int needed = mode.equals("constant") ? 0 : Math.max(rank - 2, 1);
        List<Size> sides = new ArrayList<>();
        for (int dim = rank - 1; dim >= 0; dim--) {
            sides.add(before[dim] == null ? new Size.Fixed(0) : before[dim]);
            sides.add(after[dim] == null ? new Size.Fixed(0) : after[dim]);
        }
        while (sides.size() > 2 * needed
                && sides.getLast().equals(new Size.Fixed(0))
                && sides.get(sides.size() - 2).equals(new Size.Fixed(0))) {
            sides.removeLast();
            sides.removeLast();
        }
        if (!mode.equals("constant") && (sides.size() > 2 * needed || rank > 5 || rank < 2)) {
            throw call.refused(
                    "it pads %d of %d dimensions by '%s'".formatted(sides.size() / 2, rank, mode));
        }
        Map<String, Object> attributes = new HashMap<>(Map.of("pad", sides, "mode", mode));
        if (mode.equals("constant")) {
            attributes.put("value", value(call));
        }
        call.give(
                sides.isEmpty()
                        ? call.in(0)
                        : call.apply(GraphOperator.PAD, attributes, call.in(0)));
    }

    private static double value(Call call) {
        if (call.node.has("value")) {
            return call.node.number("value", 0);
        }
        if (!call.has(2)) {
            return 0;
        }
        var constant = call.constant(2);
        if (constant == null || constant.elements() != 1) {
            throw call.refused("the number that it pads with is computed when it runs");
        }
        return Constants.doubles(constant)[0];
    }
}
