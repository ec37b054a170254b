package io.espalier.slim;

import io.espalier.graph.GraphOperator;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;

/** Operators that join values along a dimension, or take parts of one. */
final class ModelPartRules {
    private static final String SAME = "parts of it have to stay alike";

    private ModelPartRules() {}

    /** The rule of an operator that joins or divides. */
    static void apply(ModelCall call, GraphOperator operator) {
        switch (operator) {
            case CAT ->
                    ChannelRules.concatenate(
                            call, call.dimension(call.integer("dim"), call.rank(0)));
            case STACK -> stack(call);
            case CHUNK -> equalParts(call, "");
            case SPLIT -> equalParts(call, "split_size");
            case SPLIT_WITH_SIZES -> split(call);
            case GLU -> gated(call);
            case NARROW -> narrow(call);
            case SLICE -> slice(call);
            case SELECT, UNBIND -> taken(call);
            case INDEX_SELECT -> ModelLayoutRules.pinned(call, call.integer("dim"));
            default -> throw new NotUnderstood("no rule for " + operator);
        }
    }

    private static int dimension(ModelCall call) {
        return call.dimension(call.integer("dim"), call.rank(0));
    }

    private static void stack(ModelCall call) {
        List<Axis> result = call.axes(0);
        for (int i = 1; i < call.operands(); i++) {
            for (int d = 0; d < result.size(); d++) {
                call.unite(result.get(d), call.axis(i, d));
            }
        }
        result.add(call.dimension(call.integer("dim"), result.size() + 1), Axis.PLAIN);
        call.give(0, result);
    }

    /** As many parts as results, of one length each: what goes of one goes of all. */
    private static void equalParts(ModelCall call, String counted) {
        int d = dimension(call);
        Axis axis = call.axis(0, d);
        long length = call.resultExtents(0)[d];
        List<Axis> parts = parts(call, d);
        boolean equal =
                IntStream.range(0, parts.size()).allMatch(i -> call.resultExtents(i)[d] == length);
        for (Axis part : parts) {
            if (equal) {
                call.flow().unite(parts.getFirst(), part, SAME);
            } else {
                call.flow().pin(axis, SAME);
            }
        }
        if (!counted.isEmpty()) {
            Axis first = parts.getFirst();
            call.counts(counted, -1, List.of(first), cut -> cut.extent(first, length));
        }
    }

    /** Gives the results, one after another along a dimension. */
    private static List<Axis> parts(ModelCall call, int d) {
        List<Axis> parts = new ArrayList<>();
        long from = 0;
        for (int i = 0; i < call.results(); i++) {
            long length = call.resultExtents(i)[d];
            Axis part = call.flow().part(call.axis(0, d), from, 1, length);
            List<Axis> result = call.axes(0);
            result.set(d, part);
            call.give(i, result);
            parts.add(part);
            from += length;
        }
        return parts;
    }

    private static void split(ModelCall call) {
        int d = dimension(call);
        List<Axis> parts = parts(call, d);
        for (int i = 0; i < parts.size(); i++) {
            Axis part = parts.get(i);
            long length = call.resultExtents(i)[d];
            call.counts("split_sizes", i, List.of(part), cut -> cut.extent(part, length));
        }
    }

    /** One half of a dimension times a function of the other. */
    private static void gated(ModelCall call) {
        int d = dimension(call);
        long half = call.extent(0, d) / 2;
        Axis axis = call.axis(0, d);
        Axis first = call.flow().part(axis, 0, 1, half);
        call.flow().unite(first, call.flow().part(axis, half, 1, half), SAME);
        List<Axis> result = call.axes(0);
        result.set(d, first);
        call.give(0, result);
    }

    private static void narrow(ModelCall call) {
        int d = dimension(call);
        if (call.axis(0, d).isPlain()) {
            call.give(0, call.axes(0));
            return;
        }
        long start = call.integer("start");
        range(call, d, start, "start");
        Axis part = call.given(0, d);
        long length = call.resultExtents(0)[d];
        call.counts("length", -1, List.of(part), cut -> cut.extent(part, length));
    }

    /** Gives the part of a dimension that begins somewhere; what is before it is counted. */
    private static void range(ModelCall call, int d, long start, String counted) {
        Axis axis = call.axis(0, d);
        Axis before = call.flow().part(axis, 0, 1, start);
        call.counts(counted, -1, List.of(before), cut -> cut.extent(before, start));
        List<Axis> result = call.axes(0);
        result.set(d, call.flow().part(axis, start, 1, call.resultExtents(0)[d]));
        call.give(0, result);
    }

    private static void slice(ModelCall call) {
        int d = dimension(call);
        if (call.axis(0, d).isPlain()) {
            call.give(0, call.axes(0));
            return;
        }
        long extent = call.extent(0, d);
        long start = call.optionalInteger("start").orElse(0L);
        long end = call.optionalInteger("end").orElse(extent);
        if (start == 0 && end >= extent && call.integer("step") == 1) {
            call.give(0, call.axes(0));
        } else if (start < 0 || end < 0 || call.integer("step") != 1) {
            ModelLayoutRules.pinned(call, d);
        } else {
            range(call, d, Math.min(start, extent), "start");
            if (end < extent) {
                Axis upTo = call.flow().part(call.axis(0, d), 0, 1, end);
                call.counts("end", -1, List.of(upTo), cut -> cut.extent(upTo, end));
            }
        }
    }

    /** One place of a dimension for each result, which then hasn't got it. */
    private static void taken(ModelCall call) {
        int d = dimension(call);
        call.pin(call.axis(0, d));
        List<Axis> result = call.axes(0);
        result.remove(d);
        for (int i = 0; i < call.results(); i++) {
            call.give(i, result);
        }
    }
}
