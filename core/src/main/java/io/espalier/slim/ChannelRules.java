package io.espalier.slim;

import io.espalier.slim.ChannelFlow.Grouped;
import io.espalier.tensor.Internal;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

/**
 * What the mathematics of operators does to channels, whatever a model is written in: operands
 * stand at the places that the standard for ONNX files and libtorch both have them at.
 */
@Internal
public final class ChannelRules {
    private ChannelRules() {}

    /** The dimensions of operands that are brought to one shape, aligned at the last. */
    public static List<Axis> broadcast(ChannelCall call, List<Integer> places, long[] extents) {
        List<Axis> result = new ArrayList<>(ChannelCall.plain(extents.length));
        for (int d = 0; d < extents.length; d++) {
            List<Axis> full = new ArrayList<>();
            for (int place : places) {
                int own = d - extents.length + call.rank(place);
                if (own < 0) {
                    continue;
                }
                if (call.extent(place, own) == extents[d]) {
                    full.add(call.axis(place, own));
                } else {
                    call.pin(call.axis(place, own));
                }
            }
            full.forEach(axis -> call.unite(full.getFirst(), axis));
            if (!full.isEmpty()) {
                result.set(d, known(full));
            }
        }
        return result;
    }

    /** One of united dimensions: one with channels, if there is any. */
    private static Axis known(List<Axis> united) {
        return united.stream().filter(axis -> !axis.isPlain()).findFirst().orElse(Axis.PLAIN);
    }

    /**
     * A convolution of {@code [N, I, …]}, weight {@code [O, I/groups, …]} and maybe a bias.
     *
     * @param padded whether anything is added around the input
     * @return the groups as channels; plain if there is one
     */
    public static Axis convolution(ChannelCall call, long groups, boolean padded) {
        call.leaveFrom(1, 2);
        Axis inputs = call.axis(0, 1);
        Axis outputs = call.axis(1, 0);
        Axis each = Axis.PLAIN;
        if (groups == 1) {
            call.unite(inputs, call.axis(1, 1));
        } else {
            Grouped in = call.flow().group(inputs, groups, call.extent(0, 1));
            Grouped out = call.flow().group(outputs, groups, call.extent(1, 0));
            call.unite(in.groups(), out.groups());
            call.unite(in.places(), call.axis(1, 1));
            each = in.groups();
        }
        call.ends(0, 1, 1, 1, groups);
        giveOutputs(call, outputs, positions(call, padded));
        return each;
    }

    /** Where results lie: where inputs do, if each is of the input at one place alone. */
    private static List<Axis> positions(ChannelCall call, boolean padded) {
        int rank = call.rank(0);
        boolean alone = !padded;
        for (int d = 2; alone && d < rank; d++) {
            alone = call.extent(1, d) == 1 && call.resultExtents(0)[d] == call.extent(0, d);
        }
        if (!alone) {
            call.pinFrom(0, 2);
            return ChannelCall.plain(rank - 2);
        }
        return call.axes(0).subList(2, rank);
    }

    /**
     * A transposed convolution of {@code [N, I, …]}, weight {@code [I, O/groups, …]} and maybe a
     * bias.
     *
     * @return the groups as channels; plain if there is one
     */
    public static Axis transposedConvolution(ChannelCall call, long groups) {
        call.leaveFrom(1, 2);
        call.pinFrom(0, 2);
        Axis inputs = call.axis(0, 1);
        Axis outputs = call.axis(1, 1);
        Axis each = Axis.PLAIN;
        call.unite(inputs, call.axis(1, 0));
        if (groups != 1) {
            long size = call.extent(1, 1);
            each = call.flow().group(inputs, groups, call.extent(0, 1)).groups();
            outputs =
                    call.flow()
                            .reshape(
                                    List.of(each, outputs),
                                    new long[] {groups, size},
                                    new long[] {groups * size})
                            .getFirst();
        }
        call.ends(0, 1, 1, 0, 1);
        giveOutputs(call, outputs, ChannelCall.plain(call.rank(0) - 2));
        return each;
    }

    private static void giveOutputs(ChannelCall call, Axis outputs, List<Axis> positions) {
        if (call.has(2)) {
            call.unite(outputs, call.axis(2, 0));
        }
        List<Axis> result = new ArrayList<>(List.of(call.axis(0, 0), outputs));
        result.addAll(positions);
        call.give(0, result);
    }

    /** The product of the last two dimensions of two operands. */
    public static void product(ChannelCall call) {
        int one = call.rank(0);
        int other = call.rank(1);
        if (one < 2 || other < 2) {
            throw new NotUnderstood("a factor is a vector");
        }
        call.unite(call.axis(0, one - 1), call.axis(1, other - 2));
        call.ends(0, one - 1, 1, other - 2, 1);
        long[] extents = call.resultExtents(0);
        List<Axis> result = new ArrayList<>();
        for (int d = 0; d < extents.length - 2; d++) {
            result.add(alongProducts(call, d - extents.length, extents[d]));
        }
        result.add(call.axis(0, one - 2));
        result.add(call.axis(1, other - 1));
        call.give(0, result);
    }

    /** A dimension along which products are taken one by one, counted from the end. */
    private static Axis alongProducts(ChannelCall call, int fromEnd, long extent) {
        List<Axis> full = new ArrayList<>();
        for (int place = 0; place < 2; place++) {
            int own = call.rank(place) + fromEnd;
            if (own >= 0 && call.extent(place, own) == extent) {
                full.add(call.axis(place, own));
            } else if (own >= 0) {
                call.pin(call.axis(place, own));
            }
        }
        full.forEach(axis -> call.unite(full.getFirst(), axis));
        return known(full);
    }

    /** Products that are summed as an equation such as {@code bhqd,bhkd->bhqk} says. */
    public static void einsum(ChannelCall call, String spelled) {
        String equation = spelled.replace(" ", "");
        int arrow = equation.indexOf("->");
        if (arrow < 0 || equation.contains(".")) {
            throw new NotUnderstood("its equation is not spelled out");
        }
        String result = equation.substring(arrow + 2);
        String[] terms = equation.substring(0, arrow).split(",", -1);
        Map<Character, Axis> axes = new HashMap<>();
        Map<Character, Long> extents = new HashMap<>();
        for (int place = 0; place < terms.length; place++) {
            for (int d = 0; d < terms[place].length(); d++) {
                char label = terms[place].charAt(d);
                Axis axis = call.axis(place, d);
                if (extents.merge(label, call.extent(place, d), Math::max)
                        != call.extent(place, d)) {
                    throw new NotUnderstood("extents are stretched");
                }
                axes.putIfAbsent(label, axis);
                call.unite(axis, axes.getOrDefault(label, axis));
                if (result.indexOf(label) < 0) {
                    call.ends(place, d, -1, 0, 1);
                }
            }
        }
        call.give(
                0, result.chars().mapToObj(c -> axes.getOrDefault((char) c, Axis.PLAIN)).toList());
    }

    /** A normalization of each channel by itself, with so many vectors of one number for each. */
    public static void channelwise(ChannelCall call, int vectors) {
        for (int i = 1; i <= vectors; i++) {
            if (call.has(i)) {
                call.unite(call.axis(0, 1), call.axis(i, 0));
            }
        }
        call.give(0, call.axes(0));
    }

    /** As {@link #channelwise}, over the dimensions after the channels. */
    public static void instanceNormalization(ChannelCall call) {
        for (int d = 2; d < call.rank(0); d++) {
            call.markInexact(call.axis(0, d));
        }
        channelwise(call, 2);
    }

    /**
     * A normalization over groups of the channels, with scale and shift for each channel or group.
     *
     * @return the groups as channels
     */
    public static Axis groupNormalization(ChannelCall call, long groups) {
        Grouped grouped = call.flow().group(call.axis(0, 1), groups, call.extent(0, 1));
        call.markInexact(grouped.places());
        for (int d = 2; d < call.rank(0); d++) {
            call.markInexact(call.axis(0, d));
        }
        for (int i = 1; i <= 2; i++) {
            if (call.has(i)) {
                boolean each = call.extent(i, 0) == call.extent(0, 1);
                call.unite(each ? call.axis(0, 1) : grouped.groups(), call.axis(i, 0));
            }
        }
        call.give(0, call.axes(0));
        return grouped.groups();
    }

    /**
     * A normalization over the last dimensions, with scale and shift from an operand on, as many as
     * there are.
     */
    public static void layerNormalization(ChannelCall call, int first, int scale) {
        int rank = call.rank(0);
        for (int d = first; d < rank; d++) {
            call.markInexact(call.axis(0, d));
        }
        for (int i = scale; i < call.operands(); i++) {
            if (call.has(i)) {
                for (int d = 0; d < call.rank(i); d++) {
                    call.unite(call.axis(0, rank - call.rank(i) + d), call.axis(i, d));
                }
            }
        }
        call.give(0, call.axes(0));
    }

    /** Operands one after another along a dimension. */
    public static void concatenate(ChannelCall call, int dimension) {
        int[] places = IntStream.range(0, call.operands()).toArray();
        List<Axis> result = call.axes(0);
        for (int place : places) {
            for (int d = 0; d < result.size(); d++) {
                if (d != dimension) {
                    call.unite(result.get(d), call.axis(place, d));
                }
            }
        }
        result.set(
                dimension,
                call.flow()
                        .concatenate(
                                IntStream.of(places)
                                        .mapToObj(i -> call.axis(i, dimension))
                                        .toList(),
                                IntStream.of(places)
                                        .mapToLong(i -> call.extent(i, dimension))
                                        .toArray()));
        call.give(0, result);
    }

    /**
     * A dimension of the first operand with so many more on either side, or fewer.
     *
     * @param constant whether what is added is one number
     */
    public static Axis padded(
            ChannelCall call, int dimension, long before, long after, boolean constant) {
        Axis axis = call.axis(0, dimension);
        if ((before == 0 && after == 0) || axis.isPlain()) {
            return axis;
        }
        if (!constant || before < 0 || after < 0) {
            call.pin(axis);
            return Axis.PLAIN;
        }
        return call.flow()
                .concatenate(
                        List.of(Axis.PLAIN, axis, Axis.PLAIN),
                        new long[] {before, call.extent(0, dimension), after});
    }

    /**
     * Channels of {@code [N, C, …]} as finer pixels.
     *
     * @param parts how many channels make one
     * @param partsFirst whether the channels that make one are those of the same place in as many
     *     parts, rather than neighbours
     */
    public static void depthToSpace(ChannelCall call, long parts, boolean partsFirst) {
        long depth = call.extent(0, 1);
        if (parts < 1) {
            throw new NotUnderstood("%d channels make one".formatted(parts));
        }
        Grouped grouped =
                call.flow().group(call.axis(0, 1), partsFirst ? parts : depth / parts, depth);
        call.pin(partsFirst ? grouped.groups() : grouped.places());
        call.pinFrom(0, 2);
        Axis left = partsFirst ? grouped.places() : grouped.groups();
        call.give(0, ChannelCall.outer(call.rank(0), call.axis(0, 0), left));
    }

    /** Dimensions reduced to one number each. */
    public static void reduce(
            ChannelCall call, boolean[] reduced, boolean keepDimensions, Reduction reduction) {
        List<Axis> result = new ArrayList<>();
        for (int d = 0; d < reduced.length; d++) {
            Axis axis = call.axis(0, d);
            if (!reduced[d]) {
                result.add(axis);
                continue;
            }
            switch (reduction) {
                case SUM -> {}
                case OF_ALL -> call.markInexact(axis);
                case OTHER -> call.pin(axis);
            }
            call.ends(0, d, -1, 0, 1);
            if (keepDimensions) {
                result.add(Axis.PLAIN);
            }
        }
        call.give(0, result);
    }

    /** What becomes of numbers that are reduced to one. */
    public enum Reduction {
        /** A sum, to which a zero adds nothing. */
        SUM,
        /** A mean, or the largest or least of all, which may change when zeros go. */
        OF_ALL,
        /** Anything else. */
        OTHER
    }
}
