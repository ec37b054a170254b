package io.espalier.slim;

import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** The layers of a Java model in which channels of groups end and that can be weighed, in order. */
final class WeighedLayers {
    private final List<WeighedLayer> layers = new ArrayList<>();
    private final Map<Group, List<WeighedLayer>> readers = new LinkedHashMap<>();

    /** Finds them. */
    WeighedLayers(ModelAnalysis analysis, Collection<Group> groups) {
        Set<String> seen = new HashSet<>();
        for (ModelEnd end : analysis.ends()) {
            ModelEnd.Side other = end.other();
            Place place = other == null ? null : other.place();
            String path = end.node().modulePath().orElse("");
            if (place == null || path.isEmpty() || !seen.add(path)) {
                continue;
            }
            WeighedLayer layer = WeighedLayer.of(analysis, path, place);
            if (layer != null && isNeeded(layer, groups)) {
                layers.add(layer);
            }
        }
    }

    private boolean isNeeded(WeighedLayer layer, Collection<Group> groups) {
        boolean needed = false;
        for (Group group : groups) {
            if (layer.reads(group)) {
                readers.computeIfAbsent(group, k -> new ArrayList<>()).add(layer);
                needed = true;
            }
        }
        return needed;
    }

    /** All of them. */
    List<WeighedLayer> layers() {
        return layers;
    }

    /** The groups that some of them read. */
    Set<Group> groups() {
        return readers.keySet();
    }

    /** Those that read a group. */
    List<WeighedLayer> of(Group group) {
        return readers.getOrDefault(group, List.of());
    }
}
