package io.espalier.slim;

import io.espalier.tensor.Internal;

import java.util.Collection;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/** What is left of dimensions when groups have other widths. */
@Internal
public final class Remainders {
    private final Groups groups;
    private final int[] units;
    private final Map<Unit, Integer> groupOf = new HashMap<>();
    private final IdentityHashMap<Axis, Remainder> known = new IdentityHashMap<>();

    /**
     * Prepares.
     *
     * @param chosen the groups that may get narrower, in the order of the widths
     */
    public Remainders(Groups groups, List<Group> chosen) {
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
     * @param parts the share of it whose indices belong to units of some groups, by the groups'
     *     places: of heads and of places within heads what is left is the product of both
     * @param units how many each group has
     */
    @SuppressWarnings("ArrayRecordComponent") // Never compared.
    public record Remainder(Map<List<Integer>, Double> parts, int[] units) {
        /** At these widths of all groups. */
        public double at(int[] widths) {
            double gone = 0;
            for (Map.Entry<List<Integer>, Double> part : parts.entrySet()) {
                double left = 1;
                for (int group : part.getKey()) {
                    left *= (double) widths[group] / units[group];
                }
                gone += part.getValue() * (1 - left);
            }
            return Math.max(1 - gone, 0);
        }

        /** The groups that change it. */
        Set<Integer> groups() {
            Set<Integer> groups = new TreeSet<>();
            parts.keySet().forEach(groups::addAll);
            return groups;
        }

        /** Whether no group changes it. */
        boolean isAll() {
            return parts.isEmpty();
        }
    }

    /**
     * Whether something is there: all of it or nothing.
     *
     * @param place where its width, 1 or 0, stands among those of all groups
     */
    public static Remainder presence(int place) {
        var units = new int[place + 1];
        units[place] = 1;
        return new Remainder(Map.of(List.of(place), 1.0), units);
    }

    /** What is left of the product of several dimensions, as a share of it. */
    public static double ofProduct(List<Remainder> factors, int[] widths) {
        double share = 1;
        for (Remainder factor : factors) {
            share *= factor.at(widths);
        }
        return share;
    }

    private Remainder of(Axis axis) {
        return known.computeIfAbsent(axis, this::count);
    }

    private Remainder count(Axis axis) {
        Map<List<Integer>, Double> parts = new HashMap<>();
        long period = axis.isPlain() ? 0 : axis.period();
        for (long index = 0; index < period; index++) {
            List<Integer> own =
                    groups.units(axis, index).stream()
                            .filter(groupOf::containsKey)
                            .map(groupOf::get)
                            .sorted()
                            .toList();
            if (!own.isEmpty()) {
                parts.merge(own, 1.0 / period, Double::sum);
            }
        }
        return new Remainder(parts, units);
    }

    /** What is left of dimensions, those aside that stay as they are. */
    public List<Remainder> of(Collection<Axis> axes) {
        return axes.stream().map(this::of).filter(left -> !left.isAll()).toList();
    }
}
