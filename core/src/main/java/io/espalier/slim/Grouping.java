package io.espalier.slim;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SequencedMap;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.IntStream;

/**
 * Makes units of atoms by the constants' indices that they take along, and groups of alike ones.
 */
final class Grouping {
    private final Identities identities;
    private final SequencedMap<Integer, SequencedMap<Place, IntStream.Builder>> slices =
            new LinkedHashMap<>();
    private final SequencedMap<Place, String> pinned = new LinkedHashMap<>();
    private final Set<List<Integer>> products = new java.util.HashSet<>();

    /** Which factor an atom is of the first product that has it. */
    private final Map<Integer, Integer> factors = new HashMap<>();

    Grouping(Identities identities) {
        this.identities = identities;
    }

    /** A dimension of a constant. */
    record Line(Place place, Axis axis, long extent) {}

    Groups groups(List<Line> lines) {
        lines.forEach(this::take);
        Map<List<Object>, List<Unit>> alike = new LinkedHashMap<>();
        slices.forEach((atom, builders) -> {
            Unit unit = unit(atom, builders);
            alike.computeIfAbsent(signature(unit), k -> new ArrayList<>()).add(unit);
        });
        Set<Integer> outer = new java.util.HashSet<>();
        products.forEach(product -> outer.add(product.getFirst()));
        List<Group> groups = new ArrayList<>();
        Map<Integer, Integer> numbers = new HashMap<>();
        for (List<Unit> units : alike.values()) {
            int number = groups.size() + 1;
            units.forEach(unit -> numbers.put(unit.atom(), number));
            groups.add(
                    new Group(
                            number,
                            units,
                            Optional.ofNullable(identities.inexactReason(units.getFirst().atom())),
                            outer.contains(units.getFirst().atom())));
        }
        return new Groups(identities, groups, pinned, overlaps(numbers));
    }

    private void take(Line line) {
        for (int i = 0; i < line.extent(); i++) {
            int identity = line.axis().at(i);
            int[] atoms = identities.atoms(identity);
            for (int atom : atoms) {
                slices.computeIfAbsent(atom, k -> new LinkedHashMap<>())
                        .computeIfAbsent(line.place(), k -> IntStream.builder())
                        .add(i);
            }
            if (atoms.length > 1) {
                for (int k = 0; k < atoms.length; k++) {
                    factors.putIfAbsent(atoms[k], k);
                }
                products.add(Arrays.stream(atoms).boxed().toList());
            } else if (atoms.length == 0) {
                String reason = identities.pinReason(identity);
                if (reason != null && !reason.isEmpty()) {
                    pinned.putIfAbsent(line.place(), reason);
                }
            }
        }
    }

    private static Unit unit(int atom, SequencedMap<Place, IntStream.Builder> builders) {
        SequencedMap<Place, int[]> indices = new LinkedHashMap<>();
        builders.forEach((place, builder) -> indices.put(place, builder.build().toArray()));
        return new Unit(atom, indices);
    }

    /** What units of one group have in common. */
    private List<Object> signature(Unit unit) {
        List<Object> signature = new ArrayList<>();
        signature.add(Optional.ofNullable(identities.inexactReason(unit.atom())));
        // As many rows as columns are alike in all else, and any of both may not go.
        signature.add(Optional.ofNullable(factors.get(unit.atom())));
        unit.slices()
                .forEach((place, indices) -> {
                    signature.add(place);
                    signature.add(indices.length);
                });
        return signature;
    }

    private Map<Integer, Set<Integer>> overlaps(Map<Integer, Integer> numbers) {
        Map<Integer, Set<Integer>> overlaps = new TreeMap<>();
        for (List<Integer> product : products) {
            for (int one : product) {
                for (int other : product) {
                    Integer first = numbers.get(one);
                    Integer second = numbers.get(other);
                    if (first != null && second != null && !first.equals(second)) {
                        overlaps.computeIfAbsent(first, k -> new TreeSet<>()).add(second);
                    }
                }
            }
        }
        return overlaps;
    }
}
