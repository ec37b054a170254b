package io.espalier.state;

import io.espalier.state.SafeTensors.Entry;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.channels.FileChannel.MapMode;
import java.util.Optional;

/** Counts the zeros of tensors in a safetensors file, a window of it at a time. */
final class ZeroCount {
    private static final int WINDOW = 1 << 20;

    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfInt INT =
            ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfLong LONG =
            ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final FileChannel channel;
    private final SafeTensors.Header header;
    private final long start;

    /** Over a file whose header has been checked. */
    ZeroCount(FileChannel channel, SafeTensors.Header header) throws IOException {
        this.channel = channel;
        this.header = header;
        var length = ByteBuffer.allocate(Long.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        channel.read(length, 0);
        this.start = Long.BYTES + length.getLong(0);
    }

    /**
     * The places where a tensor is zero or, if it has one, its mask.
     *
     * @param mask of the tensor's shape
     */
    long ofEither(String name, Optional<String> mask) throws IOException {
        Entry first = entry(name);
        Entry second = mask.map(this::entry).orElse(first);
        long elements = elements(first);
        long zeros = 0;
        for (long from = 0; from < elements; from += WINDOW) {
            int count = (int) Math.min(WINDOW, elements - from);
            try (Arena arena = Arena.ofConfined()) {
                Window a = window(first, from, count, arena);
                Window b = first.equals(second) ? a : window(second, from, count, arena);
                for (int i = 0; i < count; i++) {
                    zeros += a.isZero(i) || b.isZero(i) ? 1 : 0;
                }
            }
        }
        return zeros;
    }

    private Entry entry(String name) {
        Entry entry = header.entries().get(name);
        if (entry == null) {
            throw new IllegalArgumentException(name);
        }
        return entry;
    }

    private static long elements(Entry tensor) {
        return tensor.shape().stream().reduce(1L, Math::multiplyExact);
    }

    private Window window(Entry tensor, long from, int count, Arena arena) throws IOException {
        long width = (tensor.end() - tensor.begin()) / elements(tensor);
        MemorySegment data =
                channel.map(
                        MapMode.READ_ONLY,
                        start + tensor.begin() + from * width,
                        count * width,
                        arena);
        boolean signed = tensor.dtype().startsWith("F") || tensor.dtype().startsWith("BF");
        return new Window(data, (int) width, signed ? 1 : 0);
    }

    /**
     * Some elements of a tensor.
     *
     * @param shift 1 where the highest bit is a float's sign, which a zero may have too
     */
    private record Window(MemorySegment data, int width, int shift) {
        boolean isZero(long index) {
            return switch (width) {
                case 1 -> (byte) (data.get(ValueLayout.JAVA_BYTE, index) << shift) == 0;
                case 2 -> (short) (data.getAtIndex(SHORT, index) << shift) == 0;
                case 4 -> data.getAtIndex(INT, index) << shift == 0;
                default -> data.getAtIndex(LONG, index) << shift == 0;
            };
        }
    }
}
