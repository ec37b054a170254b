package io.espalier.cli;

import io.espalier.state.AtomicFile;
import io.espalier.state.LockedFile;
import io.espalier.tensor.EspalierException;

import java.io.IOException;
import java.nio.file.Path;

/** Keeps a place for one run while that writes there; a process that is killed gives it up. */
final class WriteLock implements AutoCloseable {
    private final LockedFile file;

    private WriteLock(LockedFile file) {
        this.file = file;
    }

    /**
     * Takes a folder.
     *
     * @throws EspalierException if another run has it, or it can't be written to
     */
    static WriteLock ofFolder(Path folder) {
        return of(folder, folder.resolve(".espalier.lock"), "choose another --out");
    }

    /**
     * Takes the place of a file, where nothing need be yet.
     *
     * @throws EspalierException if another run has it, or its folder can't be written to
     */
    static WriteLock ofFile(Path file) {
        try {
            Path place = WrittenPlace.followed(file);
            return of(
                    file,
                    place.resolveSibling("." + place.getFileName() + ".lock"),
                    "name another file with -o");
        } catch (IOException e) {
            throw cannot(file, e);
        }
    }

    private static WriteLock of(Path place, Path lock, String orElse) {
        try {
            return LockedFile.open(lock)
                    .map(WriteLock::new)
                    .orElseThrow(() ->
                            new EspalierException(
                                    "Another run writes to %s; wait until it has ended, or %s."
                                            .formatted(place, orElse)));
        } catch (IOException e) {
            throw cannot(place, e);
        }
    }

    private static EspalierException cannot(Path place, IOException e) {
        return new EspalierException(
                "Can't write to " + place + ": " + AtomicFile.reason(e) + ".", e);
    }

    @Override
    public void close() {
        try (file) {
            file.delete();
        } catch (IOException e) {
            // The lock goes with the process; what stays is an empty file.
            return;
        }
    }
}
