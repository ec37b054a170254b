package io.espalier.onnx.shape;

import io.espalier.onnx.model.ElementType;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.List;

/** Parts of tensors taken, put together, or put in place. */
final class SelectionRules {
    private SelectionRules() {}

    static void addTo(Rules rules) {
        rules.standard(call -> concat(call, 0, 1, call.type(0)), "Concat")
                .standard(SelectionRules::split, "Split")
                .standard(Slices::infer, "Slice")
                .standard(SelectionRules::gather, "Gather")
                .standard(SelectionRules::gatherElements, "GatherElements")
                .standard(SelectionRules::gatherNd, "GatherND")
                .standard(ElementwiseRules::same, "Scatter ScatterElements ScatterND TensorScatter")
                .standard(SelectionRules::compress, "Compress")
                .standard(SelectionRules::nonZero, "NonZero")
                .standard(SelectionRules::oneHot, "OneHot")
                .standard(SelectionRules::unique, "Unique")
                .standard(SelectionRules::suppress, "NonMaxSuppression");
        rules.microsoft(call -> concat(call, 2, 3, call.type(1)), "QLinearConcat")
                .microsoft(SelectionRules::gatherBlocks, "GatherBlockQuantized");
    }

    private static void concat(Call call, int first, int step, @Nullable ElementType type) {
        call.give(0, type);
        int rank = call.rank(first);
        int axis = call.axis("axis", first == 0 && call.opset() < 4 ? 1 : 0, rank);
        var shape = new ArrayList<>(call.shape(first));
        for (int place = first + step; place < call.operands(); place += step) {
            if (call.rank(place) != rank) {
                throw new Undecided();
            }
            for (int dim = 0; dim < rank; dim++) {
                Extent length = call.shape(place).get(dim);
                shape.set(
                        dim,
                        dim == axis ? shape.get(dim).plus(length) : same(shape.get(dim), length));
            }
        }
        call.give(0, shape);
    }

    /** Of two extents that must be equal the one of which more is known. */
    private static Extent same(Extent a, Extent b) {
        if (a.isKnown() && b.isKnown() && !a.equals(b)) {
            throw new Undecided();
        }
        return b.isKnown() || (a.least() < b.least()) ? b : a;
    }

    private static void split(Call call) {
        for (int i = 0; i < call.results(); i++) {
            call.give(i, call.type(0));
        }
        int axis = call.axis("axis", 0, call.rank(0));
        List<Extent> sizes = splitSizes(call, call.shape(0).get(axis));
        for (int i = 0; i < call.results(); i++) {
            var shape = new ArrayList<>(call.shape(0));
            shape.set(axis, sizes.get(Call.axis(i, sizes.size())));
            call.give(i, shape);
        }
    }

    static List<Extent> splitSizes(Call call, Extent whole) {
        if (call.node.has("split")) {
            return call.node.integers("split").stream().map(Extent::of).toList();
        }
        if (call.has(1)) {
            return call.wholes(1).stream()
                    .map(size -> size.least() >= 0 ? size : call.unknown())
                    .toList();
        }
        int parts = call.results();
        var sizes = new ArrayList<Extent>();
        Extent size =
                call.node.has("num_outputs")
                        ? whole.plus(parts - 1).over(parts)
                        : whole.over(parts);
        for (int i = 0; i < parts - 1; i++) {
            sizes.add(size);
        }
        sizes.add(whole.minus(size.times(parts - 1)));
        return sizes;
    }

    private static List<Extent> gathered(Call call, int axis) {
        var shape = new ArrayList<>(call.shape(0).subList(0, axis));
        shape.addAll(call.shape(1));
        shape.addAll(call.shape(0).subList(axis + 1, call.rank(0)));
        return shape;
    }

    private static void gather(Call call) {
        call.give(0, call.type(0));
        call.give(0, gathered(call, call.axis("axis", 0, call.rank(0))));
    }

    private static void gatherElements(Call call) {
        call.give(0, call.type(0));
        call.give(0, call.shape(1));
    }

    private static void gatherNd(Call call) {
        call.give(0, call.type(0));
        List<Extent> indices = call.shape(1);
        int batch = Math.toIntExact(call.node.integer("batch_dims", 0));
        int last = Math.toIntExact(Call.known(indices.get(Call.axis(-1, indices.size()))));
        if (batch < 0 || last < 0 || batch + last > call.rank(0)) {
            throw new Undecided();
        }
        var shape = new ArrayList<>(indices.subList(0, indices.size() - 1));
        shape.addAll(call.shape(0).subList(batch + last, call.rank(0)));
        call.give(0, shape);
    }

    /** Rows of a table in blocks of a few bits; two numbers of 4 bits may share a byte. */
    private static void gatherBlocks(Call call) {
        call.give(0, call.type(2));
        int rank = call.rank(0);
        int axis = call.axis("gather_axis", 0, rank);
        var shape = new ArrayList<>(gathered(call, axis));
        if (call.type(0) == ElementType.UINT8) {
            int packed = call.axis("quantize_axis", 1, rank);
            if (packed == axis) {
                throw new Undecided();
            }
            int at = packed < axis ? packed : packed + call.rank(1) - 1;
            shape.set(at, shape.get(at).times(8 / Math.max(call.node.integer("bits", 4), 1)));
        }
        call.give(0, shape);
    }

    private static void compress(Call call) {
        call.give(0, call.type(0));
        if (!call.node.has("axis")) {
            call.give(0, call.unknowns(1));
            return;
        }
        var shape = new ArrayList<>(call.shape(0));
        shape.set(call.axis("axis", 0, shape.size()), call.unknown());
        call.give(0, shape);
    }

    private static void nonZero(Call call) {
        call.give(0, ElementType.INT64);
        call.give(0, List.of(Extent.of(call.rank(0)), call.unknown()));
    }

    private static void oneHot(Call call) {
        call.give(0, call.type(2));
        var shape = new ArrayList<>(call.shape(0));
        Contents known = call.scope.contents(call.node.input(1));
        Extent depth = known == null ? call.unknown() : known.single().cut();
        shape.add(
                call.axis("axis", -1, shape.size() + 1),
                depth.least() >= 0 ? depth : call.unknown());
        call.give(0, shape);
    }

    private static void unique(Call call) {
        call.give(0, call.type(0));
        List<Extent> count = call.unknowns(1);
        for (int i = 1; i < call.results(); i++) {
            call.give(i, ElementType.INT64);
        }
        call.give(1, count);
        call.give(3, count);
        if (!call.node.has("axis")) {
            call.give(0, count);
            call.give(2, List.of(LayoutRules.product(call.shape(0))));
            return;
        }
        var shape = new ArrayList<>(call.shape(0));
        int axis = call.axis("axis", 0, shape.size());
        call.give(2, List.of(shape.get(axis)));
        shape.set(axis, count.getFirst());
        call.give(0, shape);
    }

    private static void suppress(Call call) {
        call.give(0, ElementType.INT64);
        call.give(0, List.of(call.unknown(), Extent.of(3)));
    }
}
