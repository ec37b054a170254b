package io.espalier.bench;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.OptionalLong;

/** How far the process grows while something runs, as Linux counts it. */
final class PeakMemory {
    private static final Path STATUS = Path.of("/proc/self/status");
    private static final Path RESET = Path.of("/proc/self/clear_refs");

    private PeakMemory() {}

    /** By how many bytes the peak is above what was there before; empty where it can't be told. */
    static OptionalLong growth(Runnable work) {
        if (!Files.isWritable(RESET)) {
            return OptionalLong.empty();
        }
        try {
            System.gc();
            Files.writeString(RESET, "5"); // sets the peak back to what is resident now
            long before = bytes("VmRSS:");
            work.run();
            return OptionalLong.of(bytes("VmHWM:") - before);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static long bytes(String key) throws IOException {
        return Files.readAllLines(STATUS).stream()
                .filter(line -> line.startsWith(key))
                .mapToLong(line -> 1024 * Long.parseLong(line.replaceAll("\\D", "")))
                .findFirst()
                .orElseThrow();
    }
}
