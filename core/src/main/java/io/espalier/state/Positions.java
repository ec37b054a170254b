package io.espalier.state;

import io.espalier.tensor.EspalierException;

import java.io.ByteArrayOutputStream;
import java.util.Arrays;
import java.util.List;

/**
 * Where the elements stand that are not zero: of a matrix (a tensor's first dimension, and all
 * others as one) the rows and columns that have any, a bit each, and within those how many zeros
 * come before each element, counted along rows or along columns. A byte of 255 stands for 255 zeros
 * after which the count goes on.
 *
 * @param rows of the matrix
 * @param columns of the matrix
 * @param alongColumns whether the elements of a column follow each other, not those of a row
 */
record Positions(int rows, int columns, boolean alongColumns) {
    /** The streams of bytes that positions are. */
    static final int STREAMS = 3;

    private static final int MANY = 255;

    /**
     * Positions as bytes, and in which order elements follow each other.
     *
     * @param streams a bit for each row, a bit for each column, the gaps
     * @param order the indices of the elements
     */
    @SuppressWarnings("ArrayRecordComponent") // made to be read once
    record Coded(List<byte[]> streams, int[] order) {}

    /** Codes the positions of elements whose indices are given in order. */
    Coded code(int[] indices) {
        boolean[] row = new boolean[rows];
        boolean[] column = new boolean[columns];
        for (int index : indices) {
            row[index / columns] = true;
            column[index % columns] = true;
        }
        int[] rowRank = ranks(row);
        int[] columnRank = ranks(column);
        int[] order = alongColumns ? byColumns(indices) : indices;
        int major = alongColumns ? live(row).length : live(column).length;
        var gaps = new ByteArrayOutputStream();
        long next = 0;
        for (int index : order) {
            int r = rowRank[index / columns];
            int c = columnRank[index % columns];
            long place = alongColumns ? (long) c * major + r : (long) r * major + c;
            long gap = place - next;
            for (; gap >= MANY; gap -= MANY) {
                gaps.write(MANY);
            }
            gaps.write((int) gap);
            next = place + 1;
        }
        return new Coded(List.of(bits(row), bits(column), gaps.toByteArray()), order);
    }

    /** Sorts by columns and keeps the order within each. */
    private int[] byColumns(int[] indices) {
        int[] next = new int[columns + 1];
        for (int index : indices) {
            next[index % columns + 1]++;
        }
        for (int c = 0; c < columns; c++) {
            next[c + 1] += next[c];
        }
        int[] order = new int[indices.length];
        for (int index : indices) {
            order[next[index % columns]++] = index;
        }
        return order;
    }

    /**
     * The indices that streams stand for.
     *
     * @param count how many there are
     * @throws EspalierException if the streams give others than that many places of the matrix; the
     *     message is the reason alone
     */
    int[] indices(byte[] rowBits, byte[] columnBits, byte[] gaps, int count) {
        int[] row = live(flags(rowBits, rows));
        int[] column = live(flags(columnBits, columns));
        int major = alongColumns ? row.length : column.length;
        long places = (long) row.length * column.length;
        int[] indices = new int[count];
        int found = 0;
        long place = 0;
        for (byte each : gaps) {
            int gap = each & MANY;
            place += gap;
            if (gap < MANY) {
                if (found == count || place >= places) {
                    throw outside();
                }
                int outer = (int) (place / major);
                int inner = (int) (place % major);
                int r = row[alongColumns ? inner : outer];
                indices[found++] = r * columns + column[alongColumns ? outer : inner];
                place++;
            }
        }
        if (found != count) {
            throw outside();
        }
        return indices;
    }

    private static EspalierException outside() {
        return new EspalierException("its positions are not those of its values");
    }

    private static int[] ranks(boolean[] live) {
        int[] ranks = new int[live.length];
        int rank = 0;
        for (int i = 0; i < live.length; i++) {
            ranks[i] = rank;
            rank += live[i] ? 1 : 0;
        }
        return ranks;
    }

    private static int[] live(boolean[] flags) {
        int[] live = new int[flags.length];
        int found = 0;
        for (int i = 0; i < flags.length; i++) {
            if (flags[i]) {
                live[found++] = i;
            }
        }
        return Arrays.copyOf(live, found);
    }

    /** How many bytes hold a bit for each. */
    static int bytes(int flags) {
        return (flags + 7) / 8;
    }

    private static byte[] bits(boolean[] flags) {
        byte[] bits = new byte[bytes(flags.length)];
        for (int i = 0; i < flags.length; i++) {
            bits[i / 8] |= (byte) (flags[i] ? 1 << (i % 8) : 0);
        }
        return bits;
    }

    private static boolean[] flags(byte[] bits, int count) {
        boolean[] flags = new boolean[count];
        for (int i = 0; i < count; i++) {
            flags[i] = ((bits[i / 8] >> (i % 8)) & 1) != 0;
        }
        return flags;
    }
}
