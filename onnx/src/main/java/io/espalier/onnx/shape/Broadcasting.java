package io.espalier.onnx.shape;

import java.util.ArrayList;
import java.util.List;

/** Extents of what is computed element by element, aligned at the last dimension. */
final class Broadcasting {
    private Broadcasting() {}

    /** The extents of all these operands of a call together. */
    static List<Extent> of(Call call, int... places) {
        List<Extent> shape = List.of();
        for (int place : places) {
            shape = of(call, shape, call.shape(place));
        }
        return shape;
    }

    static List<Extent> of(Call call, List<Extent> a, List<Extent> b) {
        int rank = Math.max(a.size(), b.size());
        var shape = new ArrayList<Extent>();
        for (int i = 0; i < rank; i++) {
            Extent one = at(a, i, rank);
            Extent other = at(b, i, rank);
            if (one.isKnown() && other.isKnown() && differ(one, other)) {
                throw new Contradicted(
                        "takes %s and %s, which have no common extents".formatted(a, b));
            }
            shape.add(of(call, one, other));
        }
        return shape;
    }

    private static Extent at(List<Extent> shape, int dim, int rank) {
        int place = dim - (rank - shape.size());
        return place < 0 ? Extent.ONE : shape.get(place);
    }

    private static boolean differ(Extent a, Extent b) {
        return !a.is(1) && !b.is(1) && !a.equals(b);
    }

    /** In a run that succeeds, both are equal, or one of them is 1. */
    private static Extent of(Call call, Extent a, Extent b) {
        if (a.is(1) || a.equals(b)) {
            return b;
        }
        if (b.is(1)) {
            return a;
        }
        if (a.isKnown() || b.isKnown()) {
            return a.isKnown() ? a : b;
        }
        return a.least() >= 1 && b.least() >= 1 ? a.max(b) : call.unknown();
    }
}
