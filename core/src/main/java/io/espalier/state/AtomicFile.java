package io.espalier.state;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Internal;
import io.espalier.tensor.Needed;

import java.io.IOException;
import java.nio.channels.ClosedByInterruptException;
import java.nio.channels.FileChannel;
import java.nio.charset.CharacterCodingException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.UUID;

/** Replaces a file in one step, on disk before it is seen. */
@Internal
public final class AtomicFile {
    /** As many as Linux follows. */
    private static final int MAX_LINKS = 40;

    private static final String FOLDER = "it is a folder";

    private AtomicFile() {}

    /** Puts the new content into a channel. */
    @FunctionalInterface
    public interface Writer {
        /** Writes the whole content; the channel is closed afterwards. */
        void write(FileChannel channel) throws IOException;
    }

    /**
     * Writes a file beside its place under another name, puts it on disk and moves it there:
     * whoever reads sees the file that was there before or the whole new one.
     *
     * @throws EspalierException if it can't be written; the file that was there is as it was
     */
    public static void write(Path file, Writer writer) {
        Path target = target(Needed.of(file, "the file to write"));
        Path temporary =
                target.resolveSibling(
                        "." + target.getFileName() + "." + UUID.randomUUID() + ".tmp");
        try {
            try (FileChannel channel =
                    FileChannel.open(
                            temporary, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
                writer.write(channel);
                channel.force(true);
            }
            keepPermissions(target, temporary);
            Files.move(temporary, target, StandardCopyOption.ATOMIC_MOVE);
            forceDirectory(target);
        } catch (IOException e) {
            throw new EspalierException("Can't write " + file + ": " + reason(e) + ".", e);
        } finally {
            deleteQuietly(temporary);
        }
    }

    /** Whoever may read a file may read what takes its place, and nobody else. */
    private static void keepPermissions(Path target, Path temporary) throws IOException {
        boolean known =
                Files.exists(target)
                        && Files.getFileStore(target).supportsFileAttributeView("posix");
        if (known) {
            Files.setPosixFilePermissions(temporary, Files.getPosixFilePermissions(target));
        }
    }

    /** The file itself where a link was named; only a file can be replaced. */
    private static Path target(Path file) {
        if (file.toString().isEmpty()) {
            throw new EspalierException("Can't write a file: its path is empty; name a file.");
        }
        if (Files.isDirectory(file)) {
            throw new EspalierException("Can't write " + file + ": it is a folder; name a file.");
        }
        if (Files.exists(file) && !Files.isRegularFile(file)) {
            throw new EspalierException(
                    "Can't write " + file + ": it is a pipe or a device; name a file.");
        }
        try {
            return followed(file.toAbsolutePath());
        } catch (IOException e) {
            throw new EspalierException("Can't write " + file + ": " + reason(e) + ".", e);
        }
    }

    /** Where links lead, though nothing is there yet. */
    private static Path followed(Path file) throws IOException {
        Path place = file;
        for (int links = 0; Files.isSymbolicLink(place); links++) {
            if (links == MAX_LINKS) {
                throw new FileSystemException(file.toString(), null, "its links lead in a circle");
            }
            place = place.resolveSibling(Files.readSymbolicLink(place));
        }
        return place;
    }

    /** Puts the move itself on disk, where the system lets a directory be opened. */
    private static void forceDirectory(Path target) {
        try (FileChannel directory = FileChannel.open(target.resolveSibling("."))) {
            directory.force(true);
        } catch (IOException e) {
            // Windows opens no directories; the file itself is on disk already.
            return;
        }
    }

    private static void deleteQuietly(Path temporary) {
        try {
            Files.deleteIfExists(temporary);
        } catch (IOException e) {
            // What failed before is the error to report; this one only leaves a file behind.
            return;
        }
    }

    /** The reason in words; the file system's own messages are often only the path. */
    public static String reason(IOException e) {
        return switch (e) {
            case NoSuchFileException missing -> "no such file or folder";
            case AccessDeniedException denied -> "no permission";
            case ClosedByInterruptException interrupted -> "the thread was interrupted";
            case NotDirectoryException file -> "it is a file, not a folder";
            case CharacterCodingException bytes -> "it is no text in UTF-8";
            case FileSystemException other when other.getReason() != null ->
                    other.getReason().equals("Is a directory") ? FOLDER : other.getReason();
            default ->
                    "Is a directory".equals(e.getMessage())
                            ? FOLDER
                            : String.valueOf(e.getMessage());
        };
    }
}
