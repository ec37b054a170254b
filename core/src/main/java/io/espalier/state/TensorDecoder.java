package io.espalier.state;

import io.espalier.tensor.EspalierException;

import org.jspecify.annotations.Nullable;

import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.List;

/** Puts the elements that streams stand for in their places. */
final class TensorDecoder {
    private final CompressedEntry entry;
    private final List<byte[]> streams;
    private final MemorySegment into;
    private final int width;

    private TensorDecoder(CompressedEntry entry, List<byte[]> streams, MemorySegment into) {
        this.entry = entry;
        this.streams = streams;
        this.into = into;
        this.width = entry.type().bytes();
    }

    /**
     * Decodes a tensor that stands for itself.
     *
     * @param streams its streams, already as long as the entry says
     * @param into the tensor's memory
     * @throws EspalierException if they don't fit each other; the message is the reason alone
     */
    static void decode(CompressedEntry entry, List<byte[]> streams, MemorySegment into) {
        new TensorDecoder(entry, streams, into).decode();
    }

    private void decode() {
        boolean dense = entry.layout() == CompressedEntry.Layout.DENSE;
        int @Nullable [] order = null;
        if (!dense) {
            into.fill((byte) 0);
            order =
                    entry.positions()
                            .indices(
                                    streams.get(0), streams.get(1), streams.get(2), entry.stored());
        }
        int first = dense ? 0 : Positions.STREAMS;
        switch (entry.coding()) {
            case PLAIN -> plain(order, streams.subList(first, streams.size()));
            case TABLE -> table(order, streams.get(first), streams.get(first + 1));
            case AFFINE -> affine(order, streams.get(first), streams.get(first + 1));
            case LOOKUP, NONZERO -> throw new IllegalArgumentException(entry.toString());
        }
    }

    private static int at(int @Nullable [] order, int i) {
        return order == null ? i : order[i];
    }

    private void plain(int @Nullable [] order, List<byte[]> planes) {
        for (int i = 0; i < entry.stored(); i++) {
            long bits = 0;
            for (int p = 0; p < width; p++) {
                bits |= (planes.get(p)[i] & 0xffL) << (8 * p);
            }
            ElementBits.put(into, width, at(order, i), bits);
        }
    }

    private void table(int @Nullable [] order, byte[] table, byte[] codes) {
        long[] values = values(table, entry);
        for (int i = 0; i < codes.length; i++) {
            ElementBits.put(into, width, at(order, i), value(values, codes[i] & 0xff));
        }
    }

    private void affine(int @Nullable [] order, byte[] table, byte[] codes) {
        FloatBuffer scales = ByteBuffer.wrap(table).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer();
        int columns = entry.columns();
        for (int i = 0; i < codes.length; i++) {
            int index = at(order, i);
            float scale = scales.get(scales.limit() == 1 ? 0 : index / columns);
            ElementBits.put(into, width, index, Float.floatToRawIntBits(codes[i] * scale));
        }
    }

    private static long[] values(byte[] table, CompressedEntry entry) {
        var bits = new ElementBits(MemorySegment.ofArray(table), entry.type(), entry.table());
        long[] values = new long[entry.table()];
        for (int i = 0; i < values.length; i++) {
            values[i] = bits.at(i);
        }
        return values;
    }

    private static long value(long[] values, int code) {
        if (code >= values.length) {
            throw new EspalierException(
                    "it names value %d of a table of %d".formatted(code, values.length));
        }
        return values[code];
    }

    /** Decodes a tensor whose table is looked up by another's bytes. */
    static void lookup(
            CompressedEntry entry, byte[] table, MemorySegment bytes, MemorySegment into) {
        long[] values = values(table, entry);
        var codes = new ElementBits(bytes, SafeTensorsType.U8, entry.elements());
        for (int i = 0; i < codes.count(); i++) {
            ElementBits.put(into, entry.type().bytes(), i, value(values, (int) codes.at(i)));
        }
    }

    /** Decodes a tensor that is 1 where another is not 0. */
    static void nonzero(CompressedEntry entry, ElementBits other, MemorySegment into) {
        long one = entry.type().one();
        for (int i = 0; i < other.count(); i++) {
            ElementBits.put(into, entry.type().bytes(), i, other.at(i) == 0 ? 0 : one);
        }
    }
}
