package io.espalier.cli;

import java.io.PrintStream;
import java.util.function.LongSupplier;

/** The steps of a piece of work that nobody can count beforehand, on standard error, with times. */
final class Steps implements AutoCloseable {
    private static final long QUIET_NANOS = 2_000_000_000L;

    private final PrintStream out;
    private final LongSupplier clock;
    private final long start;

    Steps(PrintStream out, LongSupplier clock) {
        this.out = out;
        this.clock = clock;
        this.start = clock.getAsLong();
    }

    static Steps onStandardError() {
        return new Steps(System.err, System::nanoTime);
    }

    /** A step begins; nothing is said in the first two seconds. */
    void say(String words) {
        long elapsed = clock.getAsLong() - start;
        if (elapsed >= QUIET_NANOS) {
            out.printf("%5d s  %s%n", elapsed / 1_000_000_000L, words);
        }
    }

    @Override
    public void close() {
        out.flush();
    }
}
