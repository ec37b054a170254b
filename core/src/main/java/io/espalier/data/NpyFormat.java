package io.espalier.data;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;

/** Reads and writes one array of NumPy's format as a stream. */
final class NpyFormat {
    private static final int CHUNK = 1 << 16;

    private NpyFormat() {}

    /**
     * Reads an array; memory is taken only when its header fits the size.
     *
     * @param what how an error calls the array
     * @param size how many bytes there are in the stream
     */
    static Tensor read(String what, InputStream in, long size) throws IOException {
        try {
            return read(in, size);
        } catch (EspalierException e) {
            throw new EspalierException(what + " " + e.getMessage() + ".", e);
        }
    }

    private static Tensor read(InputStream in, long size) throws IOException {
        NpyHeader header = NpyHeader.read(in);
        long there = size - header.bytes();
        if (header.dataBytes() != there) {
            throw new EspalierException(
                    "claims the shape "
                            + header.shape()
                            + ", which takes "
                            + header.dataBytes()
                            + " bytes; there are "
                            + there);
        }
        long[] shape = header.dimensions();
        if (!header.fortranOrder()) {
            return fill(header.type(), in, shape);
        }
        try (var scope = new PointerScope()) {
            Tensor reversed = fill(header.type(), in, reversed(shape));
            long[] dims = new long[shape.length];
            Arrays.setAll(dims, d -> dims.length - 1 - d);
            return Tensors.keep(reversed.permute(dims).contiguous());
        }
    }

    private static long[] reversed(long... shape) {
        return List.of(Arrays.stream(shape).boxed().toArray(Long[]::new)).reversed().stream()
                .mapToLong(Long::longValue)
                .toArray();
    }

    private static Tensor fill(NpyType type, InputStream in, long... shape) throws IOException {
        Tensor tensor = Tensors.zeros(type.type(), shape);
        MemorySegment data = Tensors.segment(tensor);
        byte[] chunk = new byte[CHUNK];
        for (long at = 0; at < data.byteSize(); ) {
            int read = in.readNBytes(chunk, 0, (int) Math.min(CHUNK, data.byteSize() - at));
            if (read == 0) {
                throw new EspalierException("ends early");
            }
            if (type == NpyType.BOOL) {
                requireBooleans(chunk, read);
            }
            MemorySegment.copy(chunk, 0, data, ValueLayout.JAVA_BYTE, at, read);
            at += read;
        }
        if (in.read() >= 0) {
            throw new EspalierException("has more data than its header says");
        }
        return tensor;
    }

    /** Any other byte than 0 and 1 in a boolean tensor makes libtorch's operators disagree. */
    private static void requireBooleans(byte[] bytes, int count) {
        for (int i = 0; i < count; i++) {
            if ((bytes[i] & ~1) != 0) {
                throw new EspalierException("holds booleans other than 0 and 1");
            }
        }
    }

    /**
     * What can be written of a tensor.
     *
     * @param what how an error calls the tensor
     * @throws EspalierException if the format has no such elements
     */
    static NpyHeader headerOf(String what, Tensor tensor) {
        NpyType type =
                NpyType.of(Tensors.type(tensor))
                        .orElseThrow(() ->
                                new EspalierException(
                                        what
                                                + " has elements of type "
                                                + Tensors.type(tensor)
                                                + ", which NumPy's format lacks; convert"
                                                + " it first."));
        return new NpyHeader(type, Arrays.stream(Tensors.shape(tensor)).boxed().toList());
    }

    static void write(NpyHeader header, Tensor tensor, OutputStream out) throws IOException {
        out.write(header.render());
        try (var scope = new PointerScope()) {
            MemorySegment data = Tensors.segment(tensor.detach().contiguous());
            byte[] chunk = new byte[CHUNK];
            for (long at = 0; at < data.byteSize(); at += CHUNK) {
                int count = (int) Math.min(CHUNK, data.byteSize() - at);
                MemorySegment.copy(data, ValueLayout.JAVA_BYTE, at, chunk, 0, count);
                out.write(chunk, 0, count);
            }
        }
    }
}
