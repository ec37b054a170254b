package io.espalier.state;

import io.espalier.tensor.EspalierException;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.List;

/**
 * How one tensor stands in a compressed file.
 *
 * @param type of its elements
 * @param shape the size of each dimension
 * @param layout which of its elements are stored
 * @param coding what stands for their values
 * @param of the tensor that it follows from, where the coding says so
 * @param stored how many elements are stored
 * @param gaps the bytes of their positions before these are coded
 * @param table the values of its table
 * @param streams the bytes of each stream as it stands in the file
 */
record CompressedEntry(
        SafeTensorsType type,
        List<Long> shape,
        Layout layout,
        Coding coding,
        @Nullable String of,
        int stored,
        int gaps,
        int table,
        List<Integer> streams) {
    /** No array of Java's holds more. */
    static final int MAX_ELEMENTS = Integer.MAX_VALUE - 8;

    /** Which elements are stored. */
    enum Layout {
        /** All. */
        DENSE,
        /** Those that are not zero, along rows. */
        ROWS,
        /** Those that are not zero, along columns. */
        COLUMNS
    }

    /** What stands for the values of the elements that are stored. */
    enum Coding {
        /** Their first bytes, then their second ones, and so on. */
        PLAIN,
        /** The different values once, then for each element which of them it is. */
        TABLE,
        /** A scale for each index of the first dimension, then an integer for each element. */
        AFFINE,
        /** Nothing: another tensor's bytes say which of a table of values each element is. */
        LOOKUP,
        /** Nothing: it is 1 where another tensor is not 0. */
        NONZERO
    }

    CompressedEntry {
        shape = List.copyOf(shape);
        streams = List.copyOf(streams);
    }

    /** The number of elements. */
    int elements() {
        return rows() * columns();
    }

    /** The rows of the matrix that it is seen as: its first dimension. */
    int rows() {
        return shape.isEmpty() ? 1 : Math.toIntExact(shape.getFirst());
    }

    /** The columns of that matrix: its other dimensions. */
    int columns() {
        long columns = 1;
        for (int i = 1; i < shape.size(); i++) {
            columns *= shape.get(i);
        }
        return (int) columns;
    }

    Positions positions() {
        return new Positions(rows(), columns(), layout == Layout.COLUMNS);
    }

    /** The scales that an affine coding has. */
    static int scales(List<Long> shape) {
        return shape.size() < 2 ? 1 : Math.toIntExact(shape.getFirst());
    }

    /** The bytes of each stream before it is coded. */
    List<Integer> plain() {
        var plain = new ArrayList<Integer>();
        if (layout != Layout.DENSE) {
            plain.addAll(List.of(Positions.bytes(rows()), Positions.bytes(columns()), gaps));
        }
        switch (coding) {
            case PLAIN -> {
                for (int i = 0; i < type.bytes(); i++) {
                    plain.add(stored);
                }
            }
            case TABLE -> plain.addAll(List.of(table * type.bytes(), stored));
            case AFFINE -> plain.addAll(List.of(scales(shape) * Float.BYTES, stored));
            case LOOKUP -> plain.add(table * type.bytes());
            case NONZERO -> {}
        }
        return plain;
    }

    /** The bytes that it takes in the file. */
    long bytes() {
        return streams.stream().mapToLong(Integer::longValue).sum();
    }

    /** The bytes that it takes in memory. */
    long denseBytes() {
        return (long) elements() * type.bytes();
    }

    /**
     * Makes sure that it can be what it says, so that memory may be taken for it.
     *
     * @throws EspalierException if it can't; the message is a reason that follows its name
     */
    void require() {
        int all = elements();
        boolean dense = layout == Layout.DENSE;
        boolean follows = coding == Coding.LOOKUP || coding == Coding.NONZERO;
        long most = dense ? 0 : (long) stored + all / 255 + 1;
        if (stored < 0 || stored > all || (dense && stored != (follows ? 0 : all))) {
            throw new EspalierException("stores " + stored + " of " + all + " elements");
        }
        if (gaps < 0 || gaps > most || table < 0 || table > ElementBits.TABLE) {
            throw new EspalierException(
                    "has %d bytes of gaps and %d values in its table".formatted(gaps, table));
        }
        if (follows != (of != null) || (follows && !dense)) {
            throw new EspalierException("does not say what it follows from");
        }
        boolean scaled = type == SafeTensorsType.F32 && scales(shape) <= MAX_ELEMENTS / Float.BYTES;
        if (coding == Coding.AFFINE && !scaled) {
            throw new EspalierException("is " + type + " " + shape + ", which can't have scales");
        }
        requireStreams();
    }

    /**
     * Makes sure that a shape is one that such a file holds.
     *
     * @throws EspalierException if it isn't; the message is a reason that follows a name
     */
    static void requireExtents(List<Long> shape) {
        long all = 1;
        boolean fits = shape.size() <= SafeTensorsHeader.MAX_DIMENSIONS;
        for (long size : shape) {
            fits = fits && size >= 0 && size <= MAX_ELEMENTS;
            // An empty tensor's strides are those of one with 1 in the place of 0.
            all = fits ? all * Math.max(1, size) : all;
            fits = fits && all <= MAX_ELEMENTS;
        }
        if (!fits) {
            throw new EspalierException("has the shape " + shape + ", which no such file holds");
        }
    }

    private void requireStreams() {
        List<Integer> plain = plain();
        boolean fit = streams.size() == plain.size();
        for (int i = 0; fit && i < plain.size(); i++) {
            fit = streams.get(i) >= 0 && streams.get(i) <= plain.get(i);
        }
        if (!fit) {
            throw new EspalierException("has streams of " + streams + " bytes for " + plain);
        }
    }
}
