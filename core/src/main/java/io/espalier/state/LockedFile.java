package io.espalier.state;

import io.espalier.tensor.Internal;

import org.jspecify.annotations.Nullable;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.Objects;
import java.util.Optional;

/**
 * A file that one run has for itself, from here or from another process. The system gives it up
 * when the process ends, however that does. While it is held, it is read and written by {@link
 * #channel} alone: closing another of the same file would give it up.
 */
@Internal
public final class LockedFile implements AutoCloseable {
    private final Path file;
    private final FileChannel channel;

    private LockedFile(Path file, FileChannel channel) {
        this.file = file;
        this.channel = channel;
    }

    /**
     * Takes a file, which is made if it is not there.
     *
     * @return empty if another has it
     * @throws IOException if it can't be opened for reading and writing
     */
    public static Optional<LockedFile> open(Path file) throws IOException {
        while (true) {
            FileChannel channel =
                    FileChannel.open(
                            file,
                            StandardOpenOption.CREATE,
                            StandardOpenOption.READ,
                            StandardOpenOption.WRITE);
            boolean taken = false;
            try {
                Object opened = key(file);
                if (!lock(channel)) {
                    return Optional.empty();
                }
                // The one who had it may have deleted it, and another made it anew since.
                if (Objects.equals(opened, key(file)) && Files.exists(file)) {
                    taken = true;
                    return Optional.of(new LockedFile(file, channel));
                }
            } finally {
                if (!taken) {
                    channel.close();
                }
            }
        }
    }

    private static boolean lock(FileChannel channel) throws IOException {
        try {
            return channel.tryLock() != null;
        } catch (OverlappingFileLockException e) {
            return false;
        }
    }

    private static @Nullable Object key(Path file) throws IOException {
        try {
            return Files.readAttributes(file, BasicFileAttributes.class).fileKey();
        } catch (NoSuchFileException e) {
            return null;
        }
    }

    /** Reads and writes it, from where it stands. */
    public FileChannel channel() {
        return channel;
    }

    /** Removes it; nobody else has it then. */
    public void delete() throws IOException {
        Files.deleteIfExists(file);
    }

    /** Gives it up. */
    @Override
    public void close() throws IOException {
        channel.close();
    }
}
