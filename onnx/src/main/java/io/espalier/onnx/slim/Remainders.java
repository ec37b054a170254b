package io.espalier.onnx.slim;

import io.espalier.onnx.model.OnnxNode;
import io.espalier.slim.Axis;
import io.espalier.slim.ChannelValue;
import io.espalier.slim.Group;
import io.espalier.slim.Groups;
import io.espalier.slim.Unit;

import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** What is left of dimensions when groups have other widths. */
final class Remainders {
    private final Analysis analysis;
    private final Groups groups;
    private final int[] units;
    private final Map<Unit, Integer> groupOf = new HashMap<>();
    private final IdentityHashMap<Axis, Remainder> known = new IdentityHashMap<>();

    /**
     * Prepares.
     *
     * @param chosen the groups that may get narrower, in the order of the widths
     */
    Remainders(Analysis analysis, Groups groups, List<Group> chosen) {
        this.analysis = analysis;
        this.groups = groups;
        units = chosen.stream().mapToInt(group -> group.units().size()).toArray();
        for (int group = 0; group < chosen.size(); group++) {
            for (Unit unit : chosen.get(group).units()) {
                groupOf.put(unit, group);
            }
        }
    }

    /**
     * What is left of a dimension, as a share of it.
     *
     * @param lost the share of it that a unit of each group takes along, by the group's place
     * @param units how many each group has
     */
    @SuppressWarnings("ArrayRecordComponent") // Never compared.
    record Remainder(Map<Integer, Double> lost, int[] units) {
        double at(int[] widths) {
            double left = 1;
            for (Map.Entry<Integer, Double> each : lost.entrySet()) {
                int group = each.getKey();
                left -= each.getValue() * (units[group] - widths[group]);
            }
            return Math.max(left, 0);
        }

        /** Whether no group changes it. */
        boolean isAll() {
            return lost.isEmpty();
        }
    }

    private Remainder of(Axis axis) {
        return known.computeIfAbsent(axis, this::count);
    }

    private Remainder count(Axis axis) {
        Map<Integer, Double> lost = new TreeMap<>();
        long period = axis.isPlain() ? 0 : axis.period();
        for (long index = 0; index < period; index++) {
            for (Unit unit : groups.units(axis, index)) {
                Integer group = groupOf.get(unit);
                if (group != null) {
                    lost.merge(group, 1.0 / period / units[group], Double::sum);
                }
            }
        }
        return new Remainder(lost, units);
    }

    /** What is left of the dimensions of a value from one on, those aside that stay as they are. */
    List<Remainder> of(String value, int from) {
        ChannelValue channels = analysis.values().get(value);
        return channels == null || channels.rank() < from
                ? List.of()
                : changing(channels.axes().subList(from, channels.rank()));
    }

    /** What is left of one dimension of a value, counted from the last. */
    private List<Remainder> fromLast(String value, int place) {
        ChannelValue channels = analysis.values().get(value);
        return channels == null || channels.rank() < place
                ? List.of()
                : changing(List.of(channels.axes().get(channels.rank() - place)));
    }

    private List<Remainder> changing(Collection<Axis> axes) {
        return axes.stream().map(this::of).filter(left -> !left.isAll()).toList();
    }

    /** What is left of a node's multiplications. */
    List<Remainder> ofMacs(OnnxNode node) {
        return switch (node.op()) {
            case "Conv" -> joined(of(node.output(), 0), of(node.input(1), 1));
            case "ConvTranspose" -> joined(of(node.input(0), 0), of(node.input(1), 1));
            case "MatMul", "FusedMatMul" ->
                    joined(of(node.output(), 0), fromLast(node.input(0), 1));
            case "Gemm" ->
                    joined(
                            of(node.output(), 0),
                            fromLast(node.input(0), node.integer("transA", 0) == 0 ? 1 : 2));
            case "LSTM", "GRU", "RNN" -> of(node.input(2), 0);
            default -> of(node.output(), 0);
        };
    }

    /** What is left of the elements that a node goes through. */
    List<Remainder> ofElements(OnnxNode node) {
        List<Remainder> given = of(node.input(0), 0);
        List<Remainder> results = of(node.output(), 0);
        return given.size() > results.size() ? given : results;
    }

    private static List<Remainder> joined(List<Remainder> some, List<Remainder> more) {
        List<Remainder> all = new ArrayList<>(some);
        all.addAll(more);
        return all;
    }
}
