package io.espalier.onnx.shape;

import java.util.ArrayList;
import java.util.List;

/** What makes a tensor longer or shorter: expansion, tiling, padding, interpolation. */
final class SizingRules {
    private SizingRules() {}

    static void addTo(Rules rules) {
        rules.standard(SizingRules::expand, "Expand")
                .standard(SizingRules::tile, "Tile")
                .standard(SizingRules::pad, "Pad")
                .standard(SizingRules::resize, "Resize Upsample")
                .standard(SizingRules::gridSample, "GridSample")
                .standard(SizingRules::affineGrid, "AffineGrid")
                .standard(SizingRules::roiAlign, "RoiAlign");
    }

    private static Extent length(Call call, Extent extent) {
        return extent.least() >= 0 ? extent : call.unknown();
    }

    private static void expand(Call call) {
        call.give(0, call.type(0));
        List<Extent> target = call.wholes(1).stream().map(extent -> length(call, extent)).toList();
        call.give(0, Broadcasting.of(call, call.shape(0), target));
    }

    private static void tile(Call call) {
        call.give(0, call.type(0));
        call.give(0, call.unknowns(call.rank(0)));
        List<Extent> repeats = call.wholes(1);
        var shape = new ArrayList<Extent>();
        for (int dim = 0; dim < call.rank(0); dim++) {
            Extent repeat = repeats.get(Call.axis(dim, repeats.size()));
            shape.add(call.shape(0).get(dim).times(length(call, repeat)));
        }
        call.give(0, shape);
    }

    private static void pad(Call call) {
        call.give(0, call.type(0));
        call.give(0, call.unknowns(call.rank(0)));
        List<Extent> pads =
                call.node.has("pads")
                        ? call.node.integers("pads").stream().map(Extent::of).toList()
                        : call.wholes(1);
        List<Long> axes = call.has(3) ? call.longs(3) : null;
        var shape = new ArrayList<>(call.shape(0));
        int count = pads.size() / 2;
        if (axes == null ? count != shape.size() : count != axes.size()) {
            throw new Undecided();
        }
        for (int i = 0; i < count; i++) {
            int dim = axes == null ? i : Call.axis(axes.get(i), shape.size());
            Extent sum = shape.get(dim).plus(pads.get(i)).plus(pads.get(count + i));
            shape.set(dim, sum.isKnown() ? sum : length(call, sum));
        }
        call.give(0, shape);
    }

    private static void resize(Call call) {
        call.give(0, call.type(0));
        List<Extent> shape = call.shape(0);
        call.give(0, call.unknowns(shape.size()));
        boolean onlyScales = call.node.op().equals("Upsample") || call.opset() < 11;
        boolean bySizes = !onlyScales && call.has(3);
        List<Long> axes = call.node.integers("axes");
        List<Fraction> factors =
                call.node.has("scales")
                        ? call.node.numbers("scales").stream()
                                .map(scale -> Fraction.of((double) scale))
                                .toList()
                        : call.contents(bySizes ? 3 : onlyScales ? 1 : 2).elements();
        if (bySizes && !call.node.text("keep_aspect_ratio_policy", "stretch").equals("stretch")) {
            throw new Undecided();
        }
        if (factors.size() != (axes.isEmpty() ? shape.size() : axes.size())) {
            throw new Undecided();
        }
        var resized = new ArrayList<>(shape);
        for (int i = 0; i < factors.size(); i++) {
            int dim = axes.isEmpty() ? i : Call.axis(axes.get(i), shape.size());
            Fraction factor = factors.get(i);
            resized.set(
                    dim,
                    length(
                            call,
                            bySizes
                                    ? factor.whole()
                                    : Fraction.of(shape.get(dim)).times(factor).floor()));
        }
        call.give(0, resized);
    }

    private static void gridSample(Call call) {
        call.give(0, call.type(0));
        var shape = new ArrayList<>(call.shape(0).subList(0, Math.min(2, call.rank(0))));
        shape.addAll(call.shape(1).subList(1, Call.axis(-1, call.rank(1))));
        call.give(0, shape);
    }

    private static void affineGrid(Call call) {
        call.give(0, call.type(0));
        List<Extent> size = call.wholes(1).stream().map(extent -> length(call, extent)).toList();
        var shape = new ArrayList<Extent>();
        shape.add(size.get(Call.axis(0, size.size())));
        shape.addAll(size.subList(Math.min(2, size.size()), size.size()));
        shape.add(Extent.of(size.size() - 2L));
        call.give(0, shape);
    }

    private static void roiAlign(Call call) {
        call.give(0, call.type(0));
        call.give(
                0,
                List.of(
                        call.extent(1, 0),
                        call.extent(0, 1),
                        Extent.of(call.node.integer("output_height", 1)),
                        Extent.of(call.node.integer("output_width", 1))));
    }
}
