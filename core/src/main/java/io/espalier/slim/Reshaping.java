package io.espalier.slim;

import io.espalier.slim.ChannelFlow.Grouped;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * What becomes of identities where dimensions are joined and divided, as a reshape does it in
 * row-major order.
 *
 * <p>Two dimensions with channels that become one give products; one that is divided becomes a
 * product of two, so that what goes is a whole row or a whole column.
 */
final class Reshaping {
    /** More identities than this along one dimension are no channels. */
    static final int MOST = 1 << 20;

    /** Fewer parts than this are structure, such as query, key and value, rather than channels. */
    private static final int FEWEST_PARTS = 4;

    private static final String UNEVEN = "its channels are cut across by a reshape";
    private static final String STRUCTURE = "it is one of a few parts that differ";

    private final Identities identities;

    Reshaping(Identities identities) {
        this.identities = identities;
    }

    /** A dimension and its extent. */
    private record Line(Axis axis, long extent) {}

    List<Axis> reshape(List<Axis> axes, long[] from, long[] to) {
        Axis[] result = new Axis[to.length];
        Arrays.fill(result, Axis.PLAIN);
        int i = 0;
        int j = 0;
        while (i < from.length && j < to.length) {
            int firstIn = i;
            int firstOut = j;
            long in = from[i++];
            long out = to[j++];
            while (in != out && (in < out ? i < from.length : j < to.length)) {
                if (in < out) {
                    in *= from[i++];
                } else {
                    out *= to[j++];
                }
            }
            if (in != out || in <= 0) {
                axes.subList(firstIn, axes.size()).forEach(this::pin);
                return List.of(result);
            }
            divide(joined(axes, from, firstIn, i), to, firstOut, j, result);
        }
        return List.of(result);
    }

    private void pin(Axis axis) {
        for (int k = 0; k < axis.length(); k++) {
            identities.pin(axis.id(k), UNEVEN);
        }
    }

    private Line joined(List<Axis> axes, long[] extents, int from, int to) {
        var line = new Line(Axis.PLAIN, 1);
        for (int i = to - 1; i >= from; i--) {
            line = new Line(join(axes.get(i), line), extents[i] * line.extent());
        }
        return line;
    }

    private Axis join(Axis outer, Line inner) {
        if (inner.axis().isPlain()) {
            return outer.withStride(outer.stride() * inner.extent());
        }
        if (outer.isPlain()) {
            return inner.axis();
        }
        long width = inner.extent() / inner.axis().stride();
        long count = outer.period() * width;
        if (count > MOST) {
            pin(outer);
            return inner.axis();
        }
        int[] ids = new int[(int) count];
        for (int k = 0; k < ids.length; k++) {
            int place = (int) (k % width) % inner.axis().length();
            ids[k] = identities.product(outer.at(k / width), inner.axis().id(place));
        }
        return new Axis(ids, inner.axis().stride());
    }

    private void divide(Line line, long[] extents, int from, int to, Axis[] result) {
        Axis rest = line.axis();
        for (int j = to - 1; j >= from; j--) {
            if (extents[j] > 1) {
                Grouped parts = divide(rest, extents[j]);
                result[j] = parts.places();
                rest = parts.groups();
            }
        }
    }

    /** The dimension as one of an inner extent inside another. */
    Grouped divide(Axis axis, long inner) {
        if (axis.isPlain()) {
            return new Grouped(Axis.PLAIN, Axis.PLAIN);
        }
        if (axis.stride() % inner == 0) {
            return new Grouped(axis.withStride(axis.stride() / inner), Axis.PLAIN);
        }
        if (inner % axis.period() == 0) {
            return new Grouped(Axis.PLAIN, axis);
        }
        if (axis.period() % inner == 0 && inner % axis.stride() == 0) {
            int columns = (int) (inner / axis.stride());
            Grouped parts = table(axis, columns);
            return new Grouped(parts.groups(), parts.places().withStride(axis.stride()));
        }
        pin(axis);
        return new Grouped(Axis.PLAIN, Axis.PLAIN);
    }

    private Grouped table(Axis axis, int columns) {
        int rows = axis.length() / columns;
        boolean rowsAlike = true;
        boolean columnsAlike = true;
        for (int k = 0; k < axis.length(); k++) {
            columnsAlike &= identities.same(axis.id(k), axis.id(k - k % columns));
            rowsAlike &= identities.same(axis.id(k), axis.id(k % columns));
        }
        if (columnsAlike) {
            return new Grouped(some(axis, rows, columns), Axis.PLAIN);
        }
        if (rowsAlike) {
            return new Grouped(Axis.PLAIN, some(axis, columns, 1));
        }
        return product(axis, rows, columns);
    }

    private static Axis some(Axis axis, int count, int step) {
        int[] ids = new int[count];
        for (int k = 0; k < count; k++) {
            ids[k] = axis.id(k * step);
        }
        return Axis.of(ids);
    }

    private Grouped product(Axis axis, int rows, int columns) {
        Axis outer = fresh(rows);
        Axis inner = fresh(columns);
        if (rows < FEWEST_PARTS) {
            pinAll(outer);
        } else if (columns < FEWEST_PARTS) {
            pinAll(inner);
        }
        for (int k = 0; k < axis.length(); k++) {
            int product = identities.product(outer.id(k / columns), inner.id(k % columns));
            identities.unite(axis.id(k), product, UNEVEN);
        }
        return new Grouped(outer, inner);
    }

    private void pinAll(Axis axis) {
        for (int k = 0; k < axis.length(); k++) {
            identities.pin(axis.id(k), STRUCTURE);
        }
    }

    Axis fresh(int count) {
        List<Integer> ids = new ArrayList<>();
        for (int k = 0; k < count; k++) {
            ids.add(identities.fresh());
        }
        return Axis.of(ids.stream().mapToInt(Integer::intValue).toArray());
    }
}
