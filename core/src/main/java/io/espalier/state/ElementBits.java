package io.espalier.state;

import org.jspecify.annotations.Nullable;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Arrays;

/**
 * A tensor's elements as the bits that they consist of, whatever their type; −0 is 0.
 *
 * @param data the elements one after another
 * @param type of each
 * @param count how many
 */
record ElementBits(MemorySegment data, SafeTensorsType type, int count) {
    /** So many values have a place in a table that a byte counts. */
    static final int TABLE = 256;

    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfInt INT =
            ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfLong LONG =
            ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    /** An element's bits. */
    long at(int index) {
        long bits =
                switch (type.bytes()) {
                    case 1 -> data.get(ValueLayout.JAVA_BYTE, index) & 0xffL;
                    case 2 -> data.getAtIndex(SHORT, index) & 0xffffL;
                    case 4 -> data.getAtIndex(INT, index) & 0xffffffffL;
                    default -> data.getAtIndex(LONG, index);
                };
        return type.isFloating() && bits << (Long.SIZE - 8 * type.bytes()) == Long.MIN_VALUE
                ? 0
                : bits;
    }

    /** The indices of the elements that are not 0, in order. */
    int[] nonzero() {
        int[] indices = new int[count];
        int found = 0;
        for (int i = 0; i < count; i++) {
            if (at(i) != 0) {
                indices[found++] = i;
            }
        }
        return Arrays.copyOf(indices, found);
    }

    /** All values that there are, once each and sorted, if they are at most {@link #TABLE}. */
    long @Nullable [] values() {
        var found = new Lookup();
        for (int i = 0; i < count; i++) {
            if (!found.add(at(i))) {
                return null;
            }
        }
        return found.sorted();
    }

    /** Puts bits in an element's place. */
    static void put(MemorySegment data, int width, int index, long bits) {
        switch (width) {
            case 1 -> data.set(ValueLayout.JAVA_BYTE, index, (byte) bits);
            case 2 -> data.setAtIndex(SHORT, index, (short) bits);
            case 4 -> data.setAtIndex(INT, index, (int) bits);
            default -> data.setAtIndex(LONG, index, bits);
        }
    }

    /** Few values by hash, with a number for each. */
    static final class Lookup {
        private static final int SLOTS = 1024;

        private final long[] keys = new long[SLOTS];
        private final int[] numbers = new int[SLOTS];
        private int size;

        Lookup() {
            Arrays.fill(numbers, -1);
        }

        /** Those of a sorted table, each with its index. */
        static Lookup of(long[] sorted) {
            var lookup = new Lookup();
            for (long value : sorted) {
                lookup.add(value);
            }
            return lookup;
        }

        /** False where there is no room for one more. */
        boolean add(long value) {
            int slot = slot(value);
            if (numbers[slot] < 0) {
                if (size == TABLE) {
                    return false;
                }
                keys[slot] = value;
                numbers[slot] = size++;
            }
            return true;
        }

        int number(long value) {
            return numbers[slot(value)];
        }

        private int slot(long value) {
            int slot = (int) ((value * 0x9e3779b97f4a7c15L) >>> 54);
            while (numbers[slot] >= 0 && keys[slot] != value) {
                slot = (slot + 1) % SLOTS;
            }
            return slot;
        }

        long[] sorted() {
            long[] all = new long[size];
            for (int slot = 0; slot < SLOTS; slot++) {
                if (numbers[slot] >= 0) {
                    all[numbers[slot]] = keys[slot];
                }
            }
            Arrays.sort(all);
            return all;
        }
    }
}
