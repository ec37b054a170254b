package io.espalier.state;

import io.espalier.state.CompressedEntry.Coding;
import io.espalier.state.CompressedEntry.Layout;

import org.jspecify.annotations.Nullable;

import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;

/**
 * Finds the fewest bytes that stand for a tensor: all elements or those that are not zero, their
 * bytes or a table of values, along rows or along columns.
 */
final class TensorEncoder {
    /** Up to here all ways are tried; above, those that are seldom the best are left out. */
    private static final int THOROUGH = 1 << 20;

    private final ElementBits elements;
    private final List<Long> shape;

    /**
     * A tensor's bytes.
     *
     * @param entry what they are
     * @param streams the bytes themselves
     */
    record Encoded(CompressedEntry entry, List<byte[]> streams) {}

    private TensorEncoder(ElementBits elements, List<Long> shape) {
        this.elements = elements;
        this.shape = shape;
    }

    /** The fewest bytes that are read back to equal elements. */
    static Encoded encode(ElementBits elements, List<Long> shape) {
        return new TensorEncoder(elements, shape).best();
    }

    /**
     * Bytes that are read back to {@code code · scale}.
     *
     * @param codes an integer for each element
     * @param scales one for each index of the first dimension, or one
     */
    static Encoded affine(byte[] codes, float[] scales, List<Long> shape) {
        var elements =
                new ElementBits(MemorySegment.ofArray(codes), SafeTensorsType.I8, codes.length);
        byte[] table = new byte[scales.length * Float.BYTES];
        ByteBuffer.wrap(table).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer().put(scales);
        Encoded integers = encode(elements, shape);
        var streams = new ArrayList<>(integers.streams());
        streams.add(streams.size() - 1, Zstandard.pack(table));
        CompressedEntry entry = integers.entry();
        return new Encoded(
                new CompressedEntry(
                        SafeTensorsType.F32,
                        shape,
                        entry.layout(),
                        Coding.AFFINE,
                        null,
                        entry.stored(),
                        entry.gaps(),
                        0,
                        sizes(streams)),
                streams);
    }

    /** Bytes for a tensor that is 1 where another is not 0. */
    static Encoded nonzero(SafeTensorsType type, List<Long> shape, String of) {
        return new Encoded(
                new CompressedEntry(
                        type, shape, Layout.DENSE, Coding.NONZERO, of, 0, 0, 0, List.of()),
                List.of());
    }

    /**
     * Bytes for a tensor whose elements are alike where another's bytes are; null if they are not.
     *
     * @param bytes those of the other
     */
    static @Nullable Encoded lookup(
            ElementBits elements, List<Long> shape, ElementBits bytes, String of) {
        long[] values = new long[ElementBits.TABLE];
        boolean[] known = new boolean[ElementBits.TABLE];
        int table = 0;
        for (int i = 0; i < elements.count(); i++) {
            int code = (int) bytes.at(i);
            if (known[code] && values[code] != elements.at(i)) {
                return null;
            }
            known[code] = true;
            values[code] = elements.at(i);
            table = Math.max(table, code + 1);
        }
        byte[] stored =
                Zstandard.pack(tableBytes(Arrays.copyOf(values, table), elements.type().bytes()));
        return new Encoded(
                new CompressedEntry(
                        elements.type(),
                        shape,
                        Layout.DENSE,
                        Coding.LOOKUP,
                        of,
                        0,
                        0,
                        table,
                        List.of(stored.length)),
                List.of(stored));
    }

    private Encoded best() {
        int[] nonzero = elements.nonzero();
        long @Nullable [] table = elements.type().bytes() == 1 ? null : elements.values();
        var layouts = new ArrayList<Layout>();
        if (nonzero.length >= elements.count() / 4) {
            layouts.add(Layout.DENSE);
        }
        if (nonzero.length <= elements.count() / 8 * 7) {
            layouts.add(Layout.ROWS);
            if (nonzero.length <= THOROUGH) {
                layouts.add(Layout.COLUMNS);
            }
        }
        if (layouts.isEmpty()) {
            layouts.add(Layout.DENSE);
        }
        return layouts.stream()
                .flatMap(layout -> encodings(layout, nonzero, table))
                .min(Comparator.comparingLong(encoded -> encoded.entry().bytes()))
                .orElseThrow();
    }

    private Stream<Encoded> encodings(Layout layout, int[] nonzero, long @Nullable [] table) {
        List<byte[]> positions = List.of();
        int gaps = 0;
        int @Nullable [] order = null;
        if (layout != Layout.DENSE) {
            var matrix = entry(layout, Coding.PLAIN, 0, 0, 0, List.of()).positions();
            Positions.Coded coded = matrix.code(nonzero);
            positions = coded.streams().stream().map(Zstandard::pack).toList();
            gaps = coded.streams().getLast().length;
            order = coded.order();
        }
        int stored = order == null ? elements.count() : order.length;
        var encodings = new ArrayList<Encoded>();
        if (table == null || stored <= THOROUGH) {
            encodings.add(encoded(layout, Coding.PLAIN, stored, gaps, 0, positions, planes(order)));
        }
        if (table != null) {
            // Where zeros are not stored, the table needs none.
            long[] values =
                    order == null ? table : Arrays.stream(table).filter(v -> v != 0).toArray();
            encodings.add(
                    encoded(
                            layout,
                            Coding.TABLE,
                            stored,
                            gaps,
                            values.length,
                            positions,
                            List.of(
                                    tableBytes(values, elements.type().bytes()),
                                    codes(order, values))));
        }
        return encodings.stream();
    }

    private Encoded encoded(
            Layout layout,
            Coding coding,
            int stored,
            int gaps,
            int table,
            List<byte[]> positions,
            List<byte[]> values) {
        var streams = new ArrayList<>(positions);
        values.forEach(plain -> streams.add(Zstandard.pack(plain)));
        return new Encoded(entry(layout, coding, stored, gaps, table, sizes(streams)), streams);
    }

    private CompressedEntry entry(
            Layout layout, Coding coding, int stored, int gaps, int table, List<Integer> sizes) {
        return new CompressedEntry(
                elements.type(), shape, layout, coding, null, stored, gaps, table, sizes);
    }

    private static List<Integer> sizes(List<byte[]> streams) {
        return streams.stream().map(stream -> stream.length).toList();
    }

    /** The elements' first bytes, their second ones, and so on. */
    private List<byte[]> planes(int @Nullable [] order) {
        int stored = order == null ? elements.count() : order.length;
        var planes = new ArrayList<byte[]>();
        for (int p = 0; p < elements.type().bytes(); p++) {
            byte[] plane = new byte[stored];
            for (int i = 0; i < stored; i++) {
                plane[i] = (byte) (elements.at(order == null ? i : order[i]) >>> (8 * p));
            }
            planes.add(plane);
        }
        return planes;
    }

    private byte[] codes(int @Nullable [] order, long[] values) {
        var numbers = ElementBits.Lookup.of(values);
        byte[] codes = new byte[order == null ? elements.count() : order.length];
        for (int i = 0; i < codes.length; i++) {
            codes[i] = (byte) numbers.number(elements.at(order == null ? i : order[i]));
        }
        return codes;
    }

    private static byte[] tableBytes(long[] values, int width) {
        byte[] bytes = new byte[values.length * width];
        var segment = MemorySegment.ofArray(bytes);
        for (int i = 0; i < values.length; i++) {
            ElementBits.put(segment, width, i, values[i]);
        }
        return bytes;
    }
}
