package io.espalier.onnx.slim;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.slim.Axis;
import io.espalier.slim.ChannelRules;
import io.espalier.slim.Cut;
import io.espalier.slim.NotUnderstood;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.LongStream;

/** Operators that join values along a dimension, or take parts of one. */
final class PartRules {
    private PartRules() {}

    static void addTo(Rules rules) {
        rules.standard(PartRules::concatenate, "Concat")
                .standard(PartRules::split, "Split")
                .standard(PartRules::slice, "Slice")
                .standard(PartRules::gather, "Gather");
    }

    private static void concatenate(Call call) {
        ChannelRules.concatenate(call, call.dimension("axis", 0, call.rank(0)));
    }

    private static void split(Call call) {
        int dimension = call.dimension("axis", 0, call.rank(0));
        Axis axis = call.axis(0, dimension);
        List<Axis> parts = new ArrayList<>();
        List<Long> lengths = new ArrayList<>();
        long from = 0;
        for (int i = 0; i < call.node.outputs().size(); i++) {
            long length = length(call, i, dimension);
            Axis part = call.flow().part(axis, from, 1, length);
            List<Axis> result = call.axes(0);
            result.set(dimension, part);
            call.give(i, result);
            parts.add(part);
            lengths.add(length);
            from += length;
        }
        if (!axis.isPlain()) {
            call.rewrite((node, graph, choice) -> {
                List<Long> left =
                        IntStream.range(0, parts.size())
                                .mapToObj(i -> choice.extent(parts.get(i), lengths.get(i)))
                                .toList();
                if (call.opset() < 13) {
                    return node.with("split", left);
                }
                ConstantTensor list =
                        ConstantTensor.longs(
                                List.of((long) left.size()),
                                left.stream().mapToLong(Long::longValue).toArray());
                String sizes = graph.addConstant(node.name() + "_sizes", list);
                return node.without("num_outputs").withInputs(List.of(node.input(0), sizes));
            });
        }
    }

    private static long length(Call call, int place, int dimension) {
        if (call.gives(place)) {
            return call.resultExtents(place)[dimension];
        }
        long[] given = call.longs("split", 1);
        if (given == null) {
            throw new NotUnderstood("a part is left out");
        }
        return given[place];
    }

    private static void slice(Call call) {
        int rank = call.rank(0);
        boolean inputs = call.opset() >= 10;
        long[] starts = call.longs("starts", 1);
        long[] ends = call.longs("ends", 2);
        long[] steps = inputs && call.has(4) ? call.longs("steps", 4) : null;
        List<Axis> result = call.axes(0);
        long[] dimensions = sliced(call, starts, rank);
        long[] extents = call.resultExtents(0);
        for (int i = 0; i < dimensions.length; i++) {
            int d = call.dimension(dimensions[i], rank);
            Axis axis = call.axis(0, d);
            if (axis.isPlain()) {
                continue;
            }
            if (starts == null || ends == null || (call.has(4) && steps == null)) {
                throw new NotUnderstood("where it cuts is computed");
            }
            long extent = call.extent(0, d);
            long from = Math.clamp(starts[i] < 0 ? starts[i] + extent : starts[i], 0, extent);
            if (extents[d] == extent && from == 0) {
                continue;
            }
            if (steps != null && steps[i] != 1) {
                call.pin(axis);
                result.set(d, Axis.PLAIN);
                continue;
            }
            Axis part = call.flow().part(axis, from, 1, extents[d]);
            result.set(d, part);
            int at = i;
            Axis before = call.flow().part(axis, 0, 1, from);
            call.rewrite((node, graph, choice) -> {
                long first = choice.extent(before, from);
                long last = first + choice.extent(part, extents[d]);
                return SliceBounds.set(node, graph, at, first, last);
            });
        }
        call.give(0, result);
    }

    private static long[] sliced(Call call, long @Nullable [] starts, int rank) {
        boolean given = call.node.has("axes") || (call.opset() >= 10 && call.has(3));
        if (given) {
            long[] dimensions = call.longs("axes", 3);
            if (dimensions == null) {
                throw new NotUnderstood("its dimensions are computed");
            }
            return dimensions;
        }
        return LongStream.range(0, starts == null ? rank : starts.length).toArray();
    }

    private static void gather(Call call) {
        int rank = call.rank(0);
        int dimension = call.dimension("axis", 0, rank);
        Axis axis = call.axis(0, dimension);
        ConstantTensor indices = call.constant(1);
        int indexRank = call.rank(1);
        call.pinAll(1);
        List<Axis> taken = Call.plain(indexRank);
        if (!axis.isPlain() && (indices == null || indexRank > 1)) {
            call.pin(axis);
        } else if (indices != null && !axis.isPlain()) {
            long extent = call.extent(0, dimension);
            long[] wanted =
                    LongStream.of(indices.toLongs()).map(i -> Math.floorMod(i, extent)).toArray();
            Axis chosen = call.flow().choose(axis, wanted);
            if (indexRank == 0) {
                call.pin(chosen);
            } else {
                taken = List.of(chosen);
            }
            call.rewrite((node, graph, choice) ->
                    node.withInput(
                            1,
                            graph.addConstant(
                                    node.input(1),
                                    ExtentList.like(indices, left(choice, axis, wanted)))));
        }
        List<Axis> result = call.axes(0);
        result.remove(dimension);
        result.addAll(dimension, taken);
        call.give(0, result);
    }

    /** The places, among those that are left, of the wanted ones that are left. */
    private static long[] left(Cut choice, Axis axis, long[] wanted) {
        long highest = LongStream.of(wanted).max().orElse(-1);
        int[] places = new int[(int) highest + 1];
        int count = 0;
        for (int i = 0; i <= highest; i++) {
            places[i] = count;
            count += choice.isKept(axis, i) ? 1 : 0;
        }
        return LongStream.of(wanted)
                .filter(i -> choice.isKept(axis, i))
                .map(i -> places[(int) i])
                .toArray();
    }
}
