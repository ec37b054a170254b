package io.espalier.cli;

import java.io.PrintStream;
import java.util.function.LongSupplier;

/**
 * How far work in stages is, on standard error: a line every few seconds, with the time that the
 * stage will take at the pace that it has.
 */
final class StageProgress implements AutoCloseable {
    private static final long INTERVAL = 5_000_000_000L;
    private static final long SECOND = 1_000_000_000L;

    private final PrintStream out;
    private final LongSupplier clock;
    private final long start;
    private long said;
    private String stage = "";
    private long stageStart;
    private long stageDone;

    StageProgress(PrintStream out, LongSupplier clock) {
        this.out = out;
        this.clock = clock;
        this.start = clock.getAsLong();
        this.said = start;
    }

    static StageProgress onStandardError() {
        return new StageProgress(System.err, System::nanoTime);
    }

    /** So much of a stage is done. */
    void at(String name, long done, long total) {
        long now = clock.getAsLong();
        if (!name.equals(stage)) {
            stage = name;
            stageStart = now;
            stageDone = done;
        }
        if (now - said < INTERVAL) {
            return;
        }
        said = now;
        if (total <= 1) {
            out.printf("%5d s  %s%n", (now - start) / SECOND, name);
            return;
        }
        long pace = done > stageDone ? (now - stageStart) / (done - stageDone) : 0;
        out.printf(
                "%5d s  %s: %d of %d%s%n",
                (now - start) / SECOND,
                name,
                done,
                total,
                pace == 0 ? "" : ", about %d s left".formatted(pace * (total - done) / SECOND));
    }

    @Override
    public void close() {
        out.flush();
    }
}
