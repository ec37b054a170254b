package io.espalier.graph;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Which dimensions of a model's inputs may have any size, by name:
 *
 * <pre>{@code
 * FreeDimensions.of("batch", "tokens")            // of the first input; an empty name: not free
 *         .and("batch", "", "height", "width")    // of the second
 * }</pre>
 *
 * <p>Dimensions of one name have the same size in each call.
 */
public final class FreeDimensions {
    private final List<List<String>> names;

    private FreeDimensions(List<List<String>> names) {
        this.names = names;
    }

    /** The names of the first input's dimensions; later ones may be left out. */
    public static FreeDimensions of(String... first) {
        return new FreeDimensions(List.of()).and(first);
    }

    /**
     * With the names of the next input's dimensions.
     *
     * @throws EspalierException if a name is not letters, digits and underscores
     */
    public FreeDimensions and(String... next) {
        for (String name : Needed.all(next, "the names of dimensions")) {
            if (!name.isEmpty()) {
                new Size.Free(name);
            }
        }
        List<List<String>> all = new ArrayList<>(names);
        all.add(List.of(next));
        return new FreeDimensions(all);
    }

    /** A dimension of an input. */
    record Place(int input, int dim) {}

    /**
     * The places of each name.
     *
     * @throws EspalierException if the example has no such dimensions, or they differ in size
     */
    Map<String, List<Place>> places(List<Tensor> example) {
        Map<String, List<Place>> places = places();
        places.forEach((name, all) -> {
            for (Place place : all) {
                boolean exists =
                        place.input < example.size() && place.dim < example.get(place.input).dim();
                if (!exists
                        || example.get(place.input).size(place.dim)
                                != example.get(all.getFirst().input).size(all.getFirst().dim)) {
                    throw new EspalierException(
                            "'"
                                    + name
                                    + "' names dimension "
                                    + place.dim
                                    + " of input "
                                    + place.input
                                    + ", which the example does not have in the same size as the"
                                    + " others of this name; its shapes are "
                                    + example.stream()
                                            .map(x -> Arrays.toString(Tensors.shape(x)))
                                            .toList()
                                    + ".");
                }
            }
        });
        return places;
    }

    private Map<String, List<Place>> places() {
        Map<String, List<Place>> places = new LinkedHashMap<>();
        for (int input = 0; input < names.size(); input++) {
            for (int dim = 0; dim < names.get(input).size(); dim++) {
                String name = names.get(input).get(dim);
                if (!name.isEmpty()) {
                    places.computeIfAbsent(name, n -> new ArrayList<>()).add(new Place(input, dim));
                }
            }
        }
        return places;
    }
}
