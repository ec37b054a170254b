package io.espalier.slim;

import io.espalier.graph.GraphOperator;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/** Operators that move elements: other dimensions, or the same in another order. */
final class ModelLayoutRules {
    private ModelLayoutRules() {}

    /** The rule of an operator that moves elements. */
    static void apply(ModelCall call, GraphOperator operator) {
        switch (operator) {
            case RESHAPE -> reshape(call, "shape", 0);
            case UNFLATTEN ->
                    reshape(call, "sizes", call.dimension(call.integer("dim"), call.rank(0)));
            case FLATTEN, UNSQUEEZE, SQUEEZE -> call.give(0, reshaped(call));
            case CONTIGUOUS -> call.give(0, call.axes(0));
            case TRANSPOSE -> transpose(call);
            case PERMUTE -> permute(call);
            case EXPAND -> expand(call);
            case REPEAT -> repeat(call);
            case FLIP -> flip(call);
            case ROLL -> pinned(call, call.integers("dims"));
            case PIXEL_SHUFFLE -> shuffle(call);
            case PIXEL_UNSHUFFLE -> unshuffle(call);
            default -> ModelPartRules.apply(call, operator);
        }
    }

    private static List<Axis> reshaped(ModelCall call) {
        return call.flow().reshape(call.axes(0), call.operand(0).extents(), call.resultExtents(0));
    }

    /** Another shape, of which an attribute has extents from a dimension on. */
    private static void reshape(ModelCall call, String attribute, int from) {
        List<Axis> result = reshaped(call);
        counts(call, attribute, from, result);
        call.give(0, result);
    }

    private static void counts(ModelCall call, String attribute, int from, List<Axis> result) {
        long[] extents = call.resultExtents(0);
        int count = ((List<?>) call.operator().attribute(attribute).orElse(List.of())).size();
        for (int i = 0; i < count; i++) {
            Axis axis = result.get(from + i);
            long extent = extents[from + i];
            call.counts(attribute, i, List.of(axis), cut -> cut.extent(axis, extent));
        }
    }

    private static void transpose(ModelCall call) {
        List<Axis> result = call.axes(0);
        Collections.swap(
                result,
                call.dimension(call.integer("dim0"), result.size()),
                call.dimension(call.integer("dim1"), result.size()));
        call.give(0, result);
    }

    private static void permute(ModelCall call) {
        List<Axis> axes = call.axes(0);
        List<Axis> result = new ArrayList<>();
        for (long dimension : call.integers("dims")) {
            result.add(axes.get(call.dimension(dimension, axes.size())));
        }
        call.give(0, result);
    }

    private static void expand(ModelCall call) {
        long[] extents = call.resultExtents(0);
        List<Axis> result = ChannelRules.broadcast(call, List.of(0), extents);
        counts(call, "size", 0, result);
        call.give(0, result);
    }

    private static void repeat(ModelCall call) {
        int rank = call.resultExtents(0).length;
        List<Axis> result = new ArrayList<>(ChannelCall.plain(rank - call.rank(0)));
        result.addAll(call.axes(0));
        call.give(0, result);
    }

    private static void flip(ModelCall call) {
        List<Axis> result = call.axes(0);
        for (long dimension : call.integers("dims")) {
            int d = call.dimension(dimension, result.size());
            long extent = call.extent(0, d);
            result.set(d, call.flow().part(result.get(d), extent - 1, -1, extent));
        }
        call.give(0, result);
    }

    /** Some dimensions as they are, since places along them count. */
    static void pinned(ModelCall call, long... dimensions) {
        List<Axis> result = call.axes(0);
        for (long dimension : dimensions) {
            int d = call.dimension(dimension, result.size());
            call.pin(call.axis(0, d));
            result.set(d, Axis.PLAIN);
        }
        if (dimensions.length == 0) {
            call.pinFrom(0, 0);
        }
        call.give(0, result);
    }

    private static void shuffle(ModelCall call) {
        requirePictures(call);
        long factor = call.integer("upscale_factor");
        ChannelRules.depthToSpace(call, factor * factor, false);
    }

    private static void unshuffle(ModelCall call) {
        requirePictures(call);
        long factor = call.integer("downscale_factor");
        long count = call.extent(0, 1);
        long parts = factor * factor;
        call.pinFrom(0, 2);
        Axis channels =
                call.flow()
                        .reshape(
                                List.of(call.axis(0, 1), Axis.PLAIN),
                                new long[] {count, parts},
                                new long[] {count * parts})
                        .getFirst();
        call.give(0, ChannelCall.outer(4, call.axis(0, 0), channels));
    }

    private static void requirePictures(ModelCall call) {
        if (call.rank(0) != 4) {
            throw new NotUnderstood("its input has no batch");
        }
    }
}
