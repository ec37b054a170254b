package io.espalier.data;

import io.espalier.tensor.EspalierException;

import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.zip.GZIPInputStream;
import java.util.zip.ZipException;

/**
 * A compressed IDX file of bytes: two zero bytes, the element type, the number of dimensions, each
 * dimension as a big-endian 32-bit integer, then the elements in row-major order.
 *
 * @param file where it was read from
 * @param shape its dimensions
 * @param values its elements
 */
@SuppressWarnings("ArrayRecordComponent") // read once and unpacked; never compared
record Idx(Path file, int[] shape, byte[] values) {
    private static final int UNSIGNED_BYTES = 0x08;

    /** Reads a file that must have this many dimensions. */
    static Idx read(Path file, int dimensions) {
        try (InputStream raw = Files.newInputStream(file);
                var in = new DataInputStream(new GZIPInputStream(raw, 1 << 16))) {
            if (in.readInt() != (UNSIGNED_BYTES << 8 | dimensions)) {
                throw error(file, "is not an IDX file of bytes in " + dimensions + " dimensions");
            }
            int[] shape = new int[dimensions];
            long count = 1;
            for (int d = 0; d < dimensions; d++) {
                shape[d] = in.readInt();
                count = shape[d] < 0 ? Long.MAX_VALUE : Math.multiplyFull((int) count, shape[d]);
                if (count > Integer.MAX_VALUE - 8) {
                    throw error(file, "claims to hold more than 2 GB");
                }
            }
            // Grows with what is really there: a wrong header can't make us allocate its claim.
            byte[] values = in.readNBytes((int) count);
            if (values.length < count) {
                throw error(file, "ends early");
            }
            if (in.read() >= 0) {
                throw error(file, "has more data than its header says");
            }
            return new Idx(file, shape, values);
        } catch (NoSuchFileException e) {
            throw new EspalierException(
                    "No file " + file + "; put MNIST's four .gz files there.", e);
        } catch (EOFException e) {
            throw error(file, "ends early");
        } catch (ZipException e) {
            throw error(file, "is not a gzip file, or is damaged");
        } catch (IOException e) {
            throw new EspalierException("Can't read " + file + ": " + e.getMessage() + ".", e);
        }
    }

    /** The error that this file is unfit. */
    EspalierException error(String what) {
        return error(file, what);
    }

    private static EspalierException error(Path file, String what) {
        return new EspalierException(file + " " + what + "; get MNIST's file of this name again.");
    }
}
