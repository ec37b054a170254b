package io.espalier.slim;

import io.espalier.tensor.EspalierException;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.SequencedMap;
import java.util.Set;
import java.util.function.Predicate;
import java.util.stream.Collectors;

/** What of a model can be removed: groups of units, and what stays for which reason. */
public final class Groups {
    /** Units of fewer parts than this are columns rather than rows of what both share. */
    private static final int FEW = 4;

    private final Identities identities;
    private final List<Group> all;
    private final SequencedMap<Place, String> pinned;
    private final Map<Integer, Set<Integer>> overlaps;
    private final Map<Integer, Unit> byAtom = new HashMap<>();

    Groups(
            Identities identities,
            List<Group> all,
            SequencedMap<Place, String> pinned,
            Map<Integer, Set<Integer>> overlaps) {
        this.identities = identities;
        this.all = List.copyOf(all);
        this.pinned = Collections.unmodifiableSequencedMap(new LinkedHashMap<>(pinned));
        this.overlaps = overlaps;
        all.forEach(group -> group.units().forEach(unit -> byAtom.put(unit.atom(), unit)));
    }

    /** All groups, in the order of the model's constants. */
    public List<Group> all() {
        return all;
    }

    /** Dimensions of which something can't go, and why. */
    public SequencedMap<Place, String> pinned() {
        return pinned;
    }

    /** Whether some channels belong to units of both, as those of heads and of places in them. */
    public boolean overlap(Group first, Group second) {
        return overlaps.getOrDefault(first.number(), Set.of()).contains(second.number());
    }

    /**
     * Some groups of which none shares channels with another: of those that do, whole heads rather
     * than places within heads, and the one of more units.
     */
    public List<Group> independent(Predicate<Group> chosen) {
        List<Group> taken = new ArrayList<>();
        all.stream()
                .filter(chosen)
                .sorted(
                        Comparator.comparingInt(Groups::rank)
                                .thenComparingInt(group -> -group.units().size()))
                .forEach(group -> {
                    if (taken.stream().noneMatch(other -> overlap(group, other))) {
                        taken.add(group);
                    }
                });
        return taken;
    }

    private static int rank(Group group) {
        return group.isOuter() && group.units().size() >= FEW ? 0 : 1;
    }

    /** The units that an index of a dimension goes with, each of which takes it along. */
    public List<Unit> units(Axis axis, long index) {
        return Arrays.stream(identities.atoms(axis.at(index)))
                .mapToObj(byAtom::get)
                .filter(Objects::nonNull)
                .toList();
    }

    /** What goes with a unit, whether or not its group could spare it. */
    public Cut alone(Unit unit) {
        return new Cut(identities, Set.of(unit.atom()));
    }

    /** The removal of nothing. */
    Cut nothing() {
        return new Cut(identities, Set.of());
    }

    /**
     * The removal of these units.
     *
     * @throws EspalierException if one is of another model, or none of a group's would be left
     */
    public Cut choose(Collection<Unit> removed) {
        var gone = new HashSet<>(removed);
        var atoms = new HashSet<Integer>();
        for (Group group : all) {
            List<Unit> some = group.units().stream().filter(gone::contains).toList();
            if (some.size() == group.units().size()) {
                throw new EspalierException(
                        "All %d units of group %s would go; leave one at least."
                                .formatted(some.size(), group.place()));
            }
            some.forEach(unit -> atoms.add(unit.atom()));
            some.forEach(gone::remove);
        }
        if (!gone.isEmpty()) {
            throw new EspalierException(
                    "%d of the units are of another model; take them from this one's groups."
                            .formatted(gone.size()));
        }
        return new Cut(identities, atoms);
    }

    /** The same dimensions by the reason, in the order of the model's constants. */
    public SequencedMap<String, List<Place>> pinnedByReason() {
        return pinned.keySet().stream()
                .collect(
                        Collectors.groupingBy(
                                place -> pinned.getOrDefault(place, ""),
                                LinkedHashMap::new,
                                Collectors.toList()));
    }

    /** A line for each group, and what stays, by the reason. */
    @Override
    public String toString() {
        return lines().stream().map(line -> line + "\n").collect(Collectors.joining());
    }

    /** The same, each by itself: names may have breaks of lines in them. */
    public List<String> lines() {
        List<String> lines = new ArrayList<>();
        for (Group group : all) {
            var text = new StringBuilder(group.toString());
            Set<Integer> others = overlaps.getOrDefault(group.number(), Set.of());
            if (!others.isEmpty()) {
                text.append("; shares channels with ")
                        .append(
                                others.stream()
                                        .map(String::valueOf)
                                        .collect(Collectors.joining(", ")));
            }
            lines.add(text.toString());
        }
        pinnedByReason()
                .forEach((reason, places) ->
                        lines.add(
                                places.stream()
                                        .map(Place::toString)
                                        .collect(
                                                Collectors.joining(
                                                        ", ",
                                                        "stays, since %s: ".formatted(reason),
                                                        ""))));
        return lines;
    }
}
