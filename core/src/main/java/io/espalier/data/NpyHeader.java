package io.espalier.data;

import io.espalier.tensor.EspalierException;

import java.io.DataInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * What a {@code .npy} file says about its array (<a
 * href="https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html">the format</a>).
 *
 * @param type the elements' type
 * @param fortranOrder whether the first index moves fastest
 * @param shape the size of each dimension
 * @param bytes how long the header is in the file
 */
record NpyHeader(NpyType type, boolean fortranOrder, List<Long> shape, long bytes) {
    private static final byte[] MAGIC = {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y'};

    /** NumPy's own limit on headers it reads. */
    private static final int MAX_BYTES = 10_000;

    /** NumPy 2's limit on dimensions. */
    private static final int MAX_DIMENSIONS = 64;

    private static final Pattern DESCR =
            Pattern.compile("['\"]descr['\"]\\s*:\\s*(['\"])([<>=|]?\\w{1,8})\\1");
    private static final Pattern FORTRAN =
            Pattern.compile("['\"]fortran_order['\"]\\s*:\\s*(True|False)");
    private static final Pattern SHAPE =
            Pattern.compile("['\"]shape['\"]\\s*:\\s*\\(([-0-9,\\s]*)\\)");

    /** Where data begins, so that it can be mapped into memory. */
    private static final int ALIGNMENT = 64;

    NpyHeader(NpyType type, List<Long> shape) {
        this(type, false, shape, 0);
    }

    /** The number of bytes of the array's data. */
    long dataBytes() {
        long count = type.bytes();
        for (long size : shape) {
            count = Math.multiplyExact(count, size);
        }
        return count;
    }

    long[] dimensions() {
        return shape.stream().mapToLong(Long::longValue).toArray();
    }

    /**
     * Reads a header.
     *
     * @throws EspalierException if it is none, or asks for something that is not read; the message
     *     begins with a verb
     */
    static NpyHeader read(InputStream stream) throws IOException {
        var in = new DataInputStream(stream);
        if (!Arrays.equals(in.readNBytes(MAGIC.length), MAGIC)) {
            throw new EspalierException("is not NumPy's .npy format");
        }
        int version = in.readUnsignedByte();
        in.readUnsignedByte();
        if (version < 1 || version > 3) {
            throw new EspalierException(
                    "has version " + version + " of the .npy format; versions 1 to 3 are read");
        }
        int lengthBytes = version == 1 ? 2 : 4;
        byte[] little = Arrays.copyOf(in.readNBytes(lengthBytes), 4);
        long length =
                Integer.toUnsignedLong(
                        ByteBuffer.wrap(little).order(ByteOrder.LITTLE_ENDIAN).getInt());
        if (length > MAX_BYTES) {
            throw new EspalierException(
                    "claims a header of " + length + " bytes; the limit is " + MAX_BYTES);
        }
        byte[] text = in.readNBytes((int) length);
        if (text.length < length) {
            throw new EspalierException("ends within its header");
        }
        return parse(
                new String(text, StandardCharsets.UTF_8), MAGIC.length + 2 + lengthBytes + length);
    }

    private static NpyHeader parse(String text, long bytes) {
        Matcher descr = DESCR.matcher(text);
        Matcher fortran = FORTRAN.matcher(text);
        Matcher shape = SHAPE.matcher(text);
        if (!fortran.find() || !shape.find()) {
            throw new EspalierException("has a header without order or shape");
        }
        String name = descr.find() ? descr.group(2) : "of several fields";
        Optional<NpyType> type = NpyType.named(name);
        if (type.isEmpty()) {
            throw new EspalierException(
                    "has elements of type "
                            + name
                            + "; read are "
                            + Arrays.stream(NpyType.values())
                                    .map(NpyType::descr)
                                    .collect(Collectors.joining(", "))
                            + " (convert with numpy's astype)");
        }
        var header =
                new NpyHeader(
                        type.get(), fortran.group(1).equals("True"), shape(shape.group(1)), bytes);
        try {
            header.dataBytes();
        } catch (ArithmeticException e) {
            throw new EspalierException("claims the impossible shape " + header.shape(), e);
        }
        return header;
    }

    private static List<Long> shape(String text) {
        try {
            List<Long> shape =
                    Arrays.stream(text.split(","))
                            .map(String::strip)
                            .filter(size -> !size.isEmpty())
                            .map(Long::valueOf)
                            .toList();
            if (shape.size() > MAX_DIMENSIONS) {
                throw new EspalierException(
                        "has " + shape.size() + " dimensions; the limit is " + MAX_DIMENSIONS);
            }
            if (shape.stream().anyMatch(size -> size < 0)) {
                throw new EspalierException("claims the shape (" + text + "), with a size below 0");
            }
            return shape;
        } catch (NumberFormatException e) {
            throw new EspalierException("claims the impossible shape (" + text + ")", e);
        }
    }

    /** The header in version 1 of the format. */
    byte[] render() {
        String sizes = shape.stream().map(size -> size + ",").collect(Collectors.joining(" "));
        String text =
                "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }"
                        .formatted(
                                type.descr(),
                                shape.size() > 1 ? sizes.substring(0, sizes.length() - 1) : sizes);
        int before = MAGIC.length + 2 + 2;
        int length = Math.ceilDiv(before + text.length() + 1, ALIGNMENT) * ALIGNMENT - before;
        ByteBuffer out = ByteBuffer.allocate(before + length).order(ByteOrder.LITTLE_ENDIAN);
        out.put(MAGIC).put((byte) 1).put((byte) 0).putShort((short) length);
        out.put(text.getBytes(StandardCharsets.US_ASCII));
        while (out.remaining() > 1) {
            out.put((byte) ' ');
        }
        return out.put((byte) '\n').array();
    }
}
