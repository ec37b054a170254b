package io.espalier.cli;

import io.espalier.state.AtomicFile;
import io.espalier.tensor.EspalierException;

import org.jspecify.annotations.Nullable;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/** Keeps a folder for one run while that writes there; a process that is killed gives it up. */
final class FolderLock implements AutoCloseable {
    private static final String NAME = ".espalier.lock";

    private final Path file;
    private final FileChannel channel;

    private FolderLock(Path file, FileChannel channel) {
        this.file = file;
        this.channel = channel;
    }

    /**
     * Takes a folder.
     *
     * @throws EspalierException if another run has it, or it can't be written to
     */
    static FolderLock of(Path folder) {
        Path file = folder.resolve(NAME);
        try {
            FileChannel channel =
                    FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
            if (lock(channel) == null) {
                channel.close();
                throw new EspalierException(
                        "Another run writes to "
                                + folder
                                + "; wait until it has ended, or choose another --out.");
            }
            return new FolderLock(file, channel);
        } catch (IOException e) {
            throw new EspalierException(
                    "Can't write to " + folder + ": " + AtomicFile.reason(e) + ".", e);
        }
    }

    private static @Nullable FileLock lock(FileChannel channel) throws IOException {
        try {
            return channel.tryLock();
        } catch (OverlappingFileLockException e) {
            return null;
        }
    }

    @Override
    public void close() {
        try (channel) {
            Files.deleteIfExists(file);
        } catch (IOException e) {
            // The lock goes with the process; what stays is an empty file.
            return;
        }
    }
}
