package io.espalier.data;

import io.espalier.state.AtomicFile;
import io.espalier.tensor.EspalierException;

import org.bytedeco.pytorch.Tensor;

import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.channels.Channels;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Reads and writes NumPy's {@code .npy} files: one array each, of f2, f4, f8, i1, i2, i4, i8, u1 or
 * b1, little-endian.
 */
public final class Npy {
    private Npy() {}

    /**
     * Reads an array, in row-major order whatever its order in the file.
     *
     * @throws EspalierException if the file can't be read, is damaged, or has other elements
     */
    public static Tensor read(Path file) {
        try (InputStream in = new BufferedInputStream(Files.newInputStream(file))) {
            return NpyFormat.read(file.toString(), in, Files.size(file));
        } catch (IOException e) {
            throw new EspalierException(
                    "Can't read " + file + ": " + AtomicFile.reason(e) + ".", e);
        }
    }

    /**
     * Writes an array; whoever reads sees the file that was there before or the whole new one.
     *
     * @throws EspalierException if NumPy's format lacks the tensor's type or the file can't be
     *     written
     */
    public static void write(Path file, Tensor tensor) {
        NpyHeader header = NpyFormat.headerOf("The tensor", tensor);
        AtomicFile.write(
                file,
                channel -> NpyFormat.write(header, tensor, Channels.newOutputStream(channel)));
    }
}
