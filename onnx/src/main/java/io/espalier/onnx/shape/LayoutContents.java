package io.espalier.onnx.shape;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;

import java.util.ArrayList;
import java.util.List;

/** Elements of small tensors taken out, put together and made, as exporters compute extents. */
final class LayoutContents {
    private LayoutContents() {}

    static void addTo(Rules rules) {
        rules.standard(LayoutContents::reshaped, "Reshape Flatten Squeeze Unsqueeze")
                .standard(LayoutContents::concat, "Concat")
                .standard(LayoutContents::gather, "Gather")
                .standard(LayoutContents::slice, "Slice")
                .standard(LayoutContents::transpose, "Transpose")
                .standard(LayoutContents::split, "Split")
                .standard(LayoutContents::filled, "ConstantOfShape")
                .standard(LayoutContents::range, "Range")
                .standard(LayoutContents::expand, "Expand");
    }

    /** The shape that the other rule has found for a result. */
    private static List<Long> resultShape(Call call) {
        List<Extent> shape = call.result(0).shape();
        if (shape == null) {
            throw new Undecided();
        }
        return shape.stream().map(Call::known).toList();
    }

    private static void reshaped(Call call) {
        call.give(0, new Contents(resultShape(call), call.contents(0).elements()));
    }

    private static Contents row(Call call, int place) {
        if (call.rank(place) != 1) {
            throw new Undecided();
        }
        return call.contents(place);
    }

    private static void concat(Call call) {
        var elements = new ArrayList<Fraction>();
        for (int place = 0; place < call.operands(); place++) {
            elements.addAll(row(call, place).elements());
        }
        call.give(0, new Contents(List.of((long) elements.size()), elements));
    }

    private static void gather(Call call) {
        Contents from = row(call, 0);
        Contents places = call.contents(1);
        int length = from.elements().size();
        var elements = new ArrayList<Fraction>();
        for (Extent place : places.whole()) {
            elements.add(from.elements().get(Call.axis(Call.known(place), length)));
        }
        call.give(0, new Contents(places.shape(), elements));
    }

    private static void slice(Call call) {
        Contents from = call.contents(0);
        for (Slices.Part part : Slices.parts(call)) {
            Extent of = Extent.of(from.shape().get(part.axis()));
            Extent length = Slices.length(part, of);
            Extent start = Slices.place(part.start(), of, part.step() > 0, true);
            if (length == null || start == null) {
                throw new Undecided();
            }
            var places = new ArrayList<Integer>();
            for (long i = 0; i < Call.known(length); i++) {
                places.add(Math.toIntExact(Call.known(start) + i * part.step()));
            }
            from = from.taken(part.axis(), places);
        }
        call.give(0, from);
    }

    private static void transpose(Call call) {
        List<Long> order = call.node.integers("perm");
        int rank = call.rank(0);
        var axes = new ArrayList<Integer>();
        for (int i = 0; i < rank; i++) {
            axes.add(order.isEmpty() ? rank - 1 - i : Call.axis(order.get(i), rank));
        }
        call.give(0, call.contents(0).transposed(axes));
    }

    private static void split(Call call) {
        List<Fraction> from = row(call, 0).elements();
        List<Extent> sizes = SelectionRules.splitSizes(call, Extent.of(from.size()));
        long at = 0;
        for (int i = 0; i < call.results(); i++) {
            long size = Call.known(sizes.get(Call.axis(i, sizes.size())));
            if (size < 0 || at + size > from.size()) {
                throw new Undecided();
            }
            call.give(i, new Contents(List.of(size), from.subList((int) at, (int) (at + size))));
            at += size;
        }
    }

    private static void filled(Call call) {
        ConstantTensor value = call.node.tensor("value");
        ElementType type = value == null ? ElementType.FLOAT : value.type();
        if (!Contents.isOf(type) && type != ElementType.BOOL && type != ElementType.FLOAT) {
            throw new Undecided();
        }
        Contents one = value == null ? Contents.scalar(Fraction.ZERO) : Contents.of(value);
        if (one == null) {
            throw new Undecided();
        }
        call.give(0, Contents.filled(resultShape(call), one.single()));
    }

    private static void range(Call call) {
        List<Long> shape = resultShape(call);
        Fraction start = call.contents(0).single();
        Fraction delta = call.contents(2).single();
        int count = Contents.elements(shape);
        var elements = new ArrayList<Fraction>();
        for (int i = 0; i < count; i++) {
            elements.add(start.plus(delta.times(Fraction.of(i))));
        }
        call.give(0, new Contents(shape, elements));
    }

    private static void expand(Call call) {
        call.give(0, ArithmeticContents.expanded(call.contents(0), resultShape(call)));
    }
}
