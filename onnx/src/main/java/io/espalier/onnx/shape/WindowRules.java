package io.espalier.onnx.shape;

import io.espalier.onnx.model.ElementType;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.List;

/** Convolutions and poolings. */
final class WindowRules {
    private WindowRules() {}

    static void addTo(Rules rules) {
        rules.standard(call -> convolve(call, 0, 1, call.type(0)), "Conv")
                .standard(call -> convolve(call, 0, 1, ElementType.INT32), "ConvInteger")
                .standard(call -> convolve(call, 0, 3, call.type(7)), "QLinearConv")
                .standard(call -> convolve(call, 0, 1, call.type(0)), "DeformConv")
                .standard(WindowRules::transposed, "ConvTranspose")
                .standard(WindowRules::pool, "MaxPool AveragePool LpPool")
                .standard(WindowRules::poolAll, "GlobalAveragePool GlobalMaxPool GlobalLpPool");
        rules.microsoft(call -> convolve(call, 0, 1, call.type(0)), "FusedConv NhwcFusedConv")
                .microsoft(call -> convolve(call, 0, 3, call.type(7)), "QLinearConv")
                .microsoft(WindowRules::pool, "QLinearAveragePool NhwcMaxPool")
                .microsoft(WindowRules::poolAll, "QLinearGlobalAveragePool");
    }

    private static boolean channelsLast(Call call) {
        return call.node.integer("channels_last", 0) != 0 || call.node.op().startsWith("Nhwc");
    }

    private static void convolve(Call call, int input, int filters, @Nullable ElementType type) {
        call.give(0, type);
        boolean channelsLast = channelsLast(call);
        List<Extent> weight = call.shape(filters);
        int rank = call.rank(input);
        if (weight.size() != rank || rank < 3) {
            throw new Undecided();
        }
        requireChannels(call, call.extent(input, channelsLast ? -1 : 1), weight.get(1));
        List<Extent> lengths = spatial(call.shape(input), channelsLast);
        var window = new Window(call, weight.subList(2, rank));
        var results = new ArrayList<Extent>();
        for (int i = 0; i < lengths.size(); i++) {
            results.add(window.slide(lengths.get(i), i, false));
        }
        give(call, call.extent(input, 0), weight.getFirst(), results);
    }

    private static void requireChannels(Call call, Extent given, Extent ofFilter) {
        long groups = call.node.integer("group", 1);
        if (groups < 1) {
            throw new Contradicted("has %d groups; there are 1 or more".formatted(groups));
        }
        Extent wanted = ofFilter.times(groups);
        if (given.isKnown() && wanted.isKnown() && !given.equals(wanted)) {
            throw new Contradicted(
                    "takes %s channels, and its filters are for %s".formatted(given, wanted));
        }
    }

    private static void give(Call call, Extent batch, Extent channels, List<Extent> spatial) {
        var shape = new ArrayList<Extent>(List.of(batch));
        shape.addAll(spatial);
        shape.add(channelsLast(call) ? shape.size() : 1, channels);
        call.give(0, shape);
    }

    private static List<Extent> spatial(List<Extent> shape, boolean channelsLast) {
        if (shape.size() < 3) {
            throw new Undecided();
        }
        return channelsLast ? shape.subList(1, shape.size() - 1) : shape.subList(2, shape.size());
    }

    private static void transposed(Call call) {
        call.give(0, call.type(0));
        List<Extent> weight = call.shape(1);
        int rank = call.rank(0);
        if (weight.size() != rank || rank < 3) {
            throw new Undecided();
        }
        List<Extent> lengths = spatial(call.shape(0), false);
        List<Long> given = call.node.integers("output_shape");
        var window = new Window(call, weight.subList(2, rank));
        var results = new ArrayList<Extent>();
        for (int i = 0; i < lengths.size(); i++) {
            results.add(
                    given.isEmpty()
                            ? window.spread(lengths.get(i), i)
                            : Extent.of(given.get(given.size() - lengths.size() + i)));
        }
        give(call, call.extent(0, 0), weight.get(1).times(call.node.integer("group", 1)), results);
    }

    private static void pool(Call call) {
        call.give(0, call.type(0));
        call.give(1, ElementType.INT64);
        boolean channelsLast = channelsLast(call);
        List<Extent> lengths = spatial(call.shape(0), channelsLast);
        var window = new Window(call, List.of());
        boolean up = call.node.integer("ceil_mode", 0) != 0;
        var results = new ArrayList<Extent>();
        for (int i = 0; i < lengths.size(); i++) {
            results.add(window.slide(lengths.get(i), i, up));
        }
        var shape = new ArrayList<Extent>(List.of(call.extent(0, 0)));
        shape.addAll(results);
        shape.add(channelsLast ? shape.size() : 1, call.extent(0, channelsLast ? -1 : 1));
        call.give(0, shape);
        call.give(1, shape);
    }

    private static void poolAll(Call call) {
        call.give(0, call.type(0));
        var shape = new ArrayList<>(call.shape(0));
        boolean channelsLast = channelsLast(call);
        for (int dim = channelsLast ? 1 : 2; dim < shape.size() - (channelsLast ? 1 : 0); dim++) {
            shape.set(dim, Extent.ONE);
        }
        call.give(0, shape);
    }
}
