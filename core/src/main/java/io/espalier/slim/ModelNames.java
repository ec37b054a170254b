package io.espalier.slim;

import io.espalier.nn.NamePattern;
import io.espalier.tensor.EspalierException;

import java.util.HashSet;
import java.util.Set;
import java.util.stream.Stream;

/** What of a Java model has a name, in which {@code *} stands for anything. */
final class ModelNames {
    private final ModelTensors tensors;
    private final Set<Place> read = new HashSet<>();

    ModelNames(ModelAnalysis analysis) {
        tensors = analysis.tensors();
        for (ModelEnd end : analysis.ends()) {
            for (ModelEnd.Side side : new ModelEnd.Side[] {end.one(), end.other()}) {
                Place place = side == null ? null : side.place();
                if (place != null) {
                    read.add(place);
                }
            }
        }
    }

    /** Whether a layer of such a name makes the channels of a group. */
    boolean makes(String pattern, Group group) {
        return isOf(
                group.units().getFirst().slices().keySet().stream()
                        .filter(place -> !read.contains(place)),
                pattern);
    }

    /** Whether a group takes something of a layer of such a name along. */
    boolean touches(String pattern, Group group) {
        return isOf(group.units().getFirst().slices().keySet().stream(), pattern);
    }

    private static boolean isOf(Stream<Place> places, String pattern) {
        NamePattern compiled = NamePattern.of(pattern);
        return places.map(Place::constant).anyMatch(name -> matches(compiled, name));
    }

    /** Whether a module, one around it, or a tensor of it has such a name. */
    boolean isNamed(String path, String pattern) {
        NamePattern compiled = NamePattern.of(pattern);
        return Stream.concat(Stream.of(path), tensors.below(path).stream())
                .anyMatch(name -> matches(compiled, name));
    }

    /** Whether a tensor, or a module around it, has such a name. */
    private static boolean matches(NamePattern pattern, String name) {
        String part = name;
        while (true) {
            if (pattern.matches(part)) {
                return true;
            }
            int dot = part.lastIndexOf('.');
            if (dot < 0) {
                return false;
            }
            part = part.substring(0, dot);
        }
    }

    /**
     * Refuses a name that nothing has.
     *
     * @throws EspalierException if so
     */
    void require(String pattern) {
        NamePattern compiled = NamePattern.of(pattern);
        if (tensors.all().keySet().stream().noneMatch(name -> matches(compiled, name))) {
            throw new EspalierException("No layer or tensor is named '%s'.".formatted(pattern));
        }
    }
}
