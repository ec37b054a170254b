package io.espalier.cli;

import io.espalier.data.ImageDecoder;
import io.espalier.state.AtomicFile;
import io.espalier.tensor.EspalierException;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;

/** Places of files that are written, though nothing may be there yet. */
final class WrittenPlace {
    /** As many as Linux follows. */
    private static final int MAX_LINKS = 40;

    private WrittenPlace() {}

    /** Whether two paths lead to one file, through links too. */
    static boolean isSame(Path one, Path other) {
        try {
            boolean there = Files.exists(one) && Files.exists(other);
            return there ? Files.isSameFile(one, other) : followed(one).equals(followed(other));
        } catch (IOException e) {
            throw new EspalierException("Can't read " + one + ": " + AtomicFile.reason(e) + ".", e);
        }
    }

    /** Whether a file, if it were written, would be one of the images or arrays in a folder. */
    static boolean isReadFrom(Path folder, Path file) {
        String name = String.valueOf(file.getFileName()).toLowerCase(Locale.ROOT);
        if (!Files.isDirectory(folder)
                || !(name.endsWith(".npz") || name.endsWith(".npy") || ImageDecoder.reads(file))) {
            return false;
        }
        try {
            return followed(file).startsWith(folder.toRealPath());
        } catch (IOException e) {
            throw new EspalierException(
                    "Can't read " + folder + ": " + AtomicFile.reason(e) + ".", e);
        }
    }

    /**
     * Refuses the place of what is read to make the file.
     *
     * @throws EspalierException if it is that
     */
    static void requireOther(Path file, Path model) {
        if (isSame(file, model)) {
            throw new EspalierException(
                    file + " is the model itself; name another file for the result.");
        }
    }

    /**
     * Refuses a place that is taken, unless that is meant.
     *
     * @throws EspalierException if a file is there
     */
    static void requireFree(Path file, boolean force) {
        if (Files.exists(file) && !force) {
            throw new EspalierException(
                    file + " is there already; --force replaces it, -o names another file.");
        }
    }

    /**
     * Refuses a place where no file can be written.
     *
     * @throws EspalierException if it is a folder or a device, or there is no folder to hold it, or
     *     none that may be written to
     */
    static void require(Path file) {
        if (Files.isDirectory(file)) {
            throw cannot(file, "it is a folder; name a file");
        }
        if (Files.exists(file) && !Files.isRegularFile(file)) {
            throw cannot(file, "it is a pipe or a device; name a file");
        }
        Path folder;
        try {
            folder = followed(file).getParent();
        } catch (IOException e) {
            throw new EspalierException(
                    "Can't write " + file + ": " + AtomicFile.reason(e) + ".", e);
        }
        if (folder == null || !Files.isDirectory(folder)) {
            throw cannot(file, "there is no folder " + folder);
        }
        if (!Files.isWritable(folder)) {
            throw cannot(file, "no permission");
        }
    }

    private static EspalierException cannot(Path file, String why) {
        return new EspalierException("Can't write " + file + ": " + why + ".");
    }

    /** Where links lead. */
    static Path followed(Path file) throws IOException {
        Path place = file.toAbsolutePath();
        for (int links = 0; links < MAX_LINKS && Files.isSymbolicLink(place); links++) {
            place = place.resolveSibling(Files.readSymbolicLink(place));
        }
        Path folder = place.getParent();
        return folder != null && Files.isDirectory(folder)
                ? folder.toRealPath().resolve(place.getFileName())
                : place.normalize();
    }
}
