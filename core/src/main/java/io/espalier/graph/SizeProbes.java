package io.espalier.graph;

import io.espalier.graph.FreeDimensions.Place;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Inputs like an example with other sizes. */
final class SizeProbes {
    private SizeProbes() {}

    /** The first dimension of the first input, and of those that have as many. */
    static List<Place> batch(List<Tensor> example) {
        List<Place> places = new ArrayList<>();
        if (example.stream().anyMatch(x -> !x.defined() || x.numel() == 0)) {
            return places;
        }
        for (int i = 0; i < example.size(); i++) {
            Tensor first = example.getFirst();
            Tensor x = example.get(i);
            if (first.dim() > 0 && x.dim() > 0 && x.size(0) == first.size(0)) {
                places.add(new Place(i, 0));
            }
        }
        return places;
    }

    /** A small batch that is not the example's. */
    static long batchSize(List<Tensor> example) {
        return example.getFirst().size(0) == 2 ? 3 : 2;
    }

    /** Each dimension that has no name yet, by a name of its own; those of one size together. */
    static Map<String, List<Place>> others(List<Tensor> example, Map<String, List<Place>> named) {
        Map<Long, List<Place>> bySize = new LinkedHashMap<>();
        for (int i = 0; i < example.size(); i++) {
            for (int dim = 0; dim < example.get(i).dim(); dim++) {
                var place = new Place(i, dim);
                if (named.values().stream().noneMatch(places -> places.contains(place))) {
                    bySize.computeIfAbsent(example.get(i).size(dim), s -> new ArrayList<>())
                            .add(place);
                }
            }
        }
        Map<String, List<Place>> others = new LinkedHashMap<>();
        bySize.values()
                .forEach(places -> {
                    // Two sides of one picture are two dimensions, as equal as they may be.
                    boolean several = places.stream().map(Place::input).distinct().count() > 1;
                    if (several) {
                        others.put(name(example, places.getFirst()), places);
                    } else {
                        places.forEach(place -> others.put(name(example, place), List.of(place)));
                    }
                });
        return others;
    }

    private static String name(List<Tensor> example, Place place) {
        return "x" + (example.size() == 1 ? "" : place.input()) + "_dim" + place.dim();
    }

    /**
     * Sizes to try in the place of one: a far one, since behind strides near ones may make no
     * difference, a near one, and one that has little in common with either.
     */
    static List<Long> instead(long size) {
        return size >= 16 && size % 2 == 0
                ? List.of(size / 2, 2 * size, size - 1, size / 2 + 3)
                : List.of(2 * size + (size == 1 ? 1 : 0), size + 1, 3 * size + 2);
    }

    /** The example with other sizes, made of its own elements. */
    static List<Tensor> resized(List<Tensor> example, Map<Place, Long> sizes) {
        List<Tensor> resized = new ArrayList<>(example);
        sizes.forEach((place, size) -> {
            Tensor x = resized.get(place.input());
            Tensor indices =
                    torch.arange(new Scalar(size), new TensorOptions(ScalarType.Long))
                            .remainder(new Scalar(x.size(place.dim())));
            resized.set(place.input(), x.index_select(place.dim(), indices));
        });
        return resized;
    }
}
