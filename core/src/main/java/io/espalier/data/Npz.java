package io.espalier.data;

import io.espalier.state.AtomicFile;
import io.espalier.tensor.EspalierException;

import org.bytedeco.pytorch.Tensor;

import java.io.BufferedInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.channels.Channels;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.SequencedMap;
import java.util.regex.Pattern;
import java.util.zip.CRC32;
import java.util.zip.CheckedInputStream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipException;
import java.util.zip.ZipFile;
import java.util.zip.ZipOutputStream;

/** Reads and writes NumPy's {@code .npz} files: a zip archive of named {@link Npy} arrays. */
public final class Npz {
    private static final String SUFFIX = ".npy";

    private static final Pattern ARRAY = Pattern.compile("[^\\p{Cntrl}]+\\.npy");

    /** What deflate can make of one byte at most; an entry that claims more is not believed. */
    private static final long MAX_RATIO = 1032;

    /** What every entry is dated: the first day that a zip archive knows, as NumPy does. */
    private static final LocalDateTime FIRST_TIME = LocalDateTime.of(1980, 1, 1, 0, 0);

    private Npz() {}

    /**
     * Reads all arrays by name, in the archive's order; compressed archives too.
     *
     * @throws EspalierException if the file can't be read, is damaged, or holds something else
     */
    public static SequencedMap<String, Tensor> read(Path file) {
        SequencedMap<String, Tensor> arrays = new LinkedHashMap<>();
        try (var zip = new ZipFile(file.toFile())) {
            for (ZipEntry entry : Collections.list(zip.entries())) {
                if (!ARRAY.matcher(entry.getName()).matches()) {
                    throw new EspalierException(
                            file
                                    + " is not an .npz file: it holds '"
                                    + entry.getName().replaceAll("\\p{Cntrl}", "?")
                                    + "'.");
                }
                String name =
                        entry.getName().substring(0, entry.getName().length() - SUFFIX.length());
                if (arrays.put(name, read(file, zip, entry, name)) != null) {
                    throw new EspalierException(file + " has two arrays '" + name + "'.");
                }
            }
            return arrays;
        } catch (ZipException | EOFException e) {
            throw new EspalierException(
                    file + " is not an .npz file, or is damaged: its archive can't be read.", e);
        } catch (IOException e) {
            throw new EspalierException(
                    "Can't read " + file + ": " + AtomicFile.reason(e) + ".", e);
        }
    }

    private static Tensor read(Path file, ZipFile zip, ZipEntry entry, String name)
            throws IOException {
        String what = "Array '" + name + "' of " + file;
        if (entry.getSize() > entry.getCompressedSize() * MAX_RATIO) {
            throw new EspalierException(
                    what
                            + " claims "
                            + entry.getSize()
                            + " bytes in "
                            + entry.getCompressedSize()
                            + " compressed ones, more than is possible.");
        }
        var sum = new CRC32();
        try (InputStream in =
                new BufferedInputStream(new CheckedInputStream(zip.getInputStream(entry), sum))) {
            Tensor tensor = NpyFormat.read(what, in, entry.getSize());
            if (sum.getValue() != entry.getCrc()) {
                throw new EspalierException(what + " is damaged: its checksum is wrong.");
            }
            return tensor;
        }
    }

    /**
     * Writes arrays, uncompressed as {@code numpy.savez} does; whoever reads sees the file that was
     * there before or the whole new one.
     *
     * @throws EspalierException if NumPy's format lacks a tensor's type or the file can't be
     *     written
     */
    public static void write(Path file, Map<String, Tensor> arrays) {
        SequencedMap<String, NpyHeader> headers = new LinkedHashMap<>();
        arrays.forEach((name, tensor) ->
                headers.put(name, NpyFormat.headerOf("Array '" + name + "'", tensor)));
        AtomicFile.write(
                file,
                channel -> {
                    var zip = new ZipOutputStream(Channels.newOutputStream(channel));
                    zip.setLevel(0);
                    for (Map.Entry<String, Tensor> array : arrays.entrySet()) {
                        var entry = new ZipEntry(array.getKey() + SUFFIX);
                        entry.setTimeLocal(FIRST_TIME);
                        zip.putNextEntry(entry);
                        NpyFormat.write(
                                Objects.requireNonNull(headers.get(array.getKey())),
                                array.getValue(),
                                zip);
                        zip.closeEntry();
                    }
                    zip.finish();
                });
    }
}
