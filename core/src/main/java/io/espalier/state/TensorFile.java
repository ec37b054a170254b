package io.espalier.state;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Internal;
import io.espalier.tensor.Needed;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.SequencedMap;

/** An open file of tensors, of whichever kind. */
@Internal
public sealed interface TensorFile extends TensorSource, AutoCloseable
        permits StateFile, CompressedFile {
    /** Free text by name. */
    SequencedMap<String, String> metadata();

    /** The bytes that a tensor takes in the file. */
    long storedBytes(String name);

    @Override
    void close();

    /** Closes a channel to a file. */
    static void close(Path file, FileChannel channel) {
        try {
            channel.close();
        } catch (IOException e) {
            throw unreadable(file, e);
        }
    }

    /** That a file can't be read, and why. */
    static EspalierException unreadable(Path file, IOException e) {
        return new EspalierException("Can't read " + file + ": " + AtomicFile.reason(e) + ".", e);
    }

    /**
     * Opens a safetensors file or a compressed one; which it is, its first bytes tell.
     *
     * @throws EspalierException if it can't be read, is something else, or its header is damaged
     */
    static TensorFile open(Path file) {
        return CompressedStart.isThere(Needed.of(file, "the file to read"))
                ? CompressedFile.open(file)
                : StateFile.open(file);
    }
}
