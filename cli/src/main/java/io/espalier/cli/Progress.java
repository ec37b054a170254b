package io.espalier.cli;

import me.tongfei.progressbar.ConsoleProgressBarConsumer;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarStyle;

import java.io.Console;
import java.io.PrintStream;
import java.time.Duration;
import java.util.Optional;
import java.util.function.LongSupplier;

/**
 * How far a long piece of work is, on standard error: a bar on a terminal, elsewhere a line every
 * few seconds, and nothing for work that is done in two seconds.
 *
 * <pre>{@code
 * try (var progress = Progress.of("Training", steps)) {
 *     for (…) {
 *         …
 *         progress.step("loss %.4f".formatted(loss));
 *     }
 * }
 * }</pre>
 */
abstract sealed class Progress implements AutoCloseable {
    /** The total of work whose steps can't be counted beforehand. */
    static final int UNKNOWN = -1;

    /** Progress over {@code total} steps. */
    static Progress of(String task, long total) {
        return onTerminal()
                ? new Bar(task, total)
                : new Lines(task, total, System.err, System::nanoTime);
    }

    /** Whether bars can be drawn. */
    static boolean onTerminal() {
        return Optional.ofNullable(System.console()).filter(Console::isTerminal).isPresent();
    }

    /** One step is done. */
    final void step() {
        step("");
    }

    /** One step is done; {@code note} is shown beside the bar. */
    abstract void step(String note);

    /** So many steps are done. */
    abstract void to(long done, String note);

    /** Ends the display. */
    @Override
    public abstract void close();

    private static final class Bar extends Progress {
        private final ProgressBar bar;

        Bar(String task, long total) {
            bar =
                    ProgressBar.builder()
                            .setTaskName(task)
                            .setInitialMax(total)
                            .setStyle(ProgressBarStyle.UNICODE_BLOCK)
                            .setUpdateIntervalMillis(200)
                            .setConsumer(new ConsoleProgressBarConsumer(System.err))
                            .build();
        }

        @Override
        void step(String note) {
            bar.setExtraMessage(note);
            bar.step();
        }

        @Override
        void to(long done, String note) {
            bar.setExtraMessage(note);
            bar.stepTo(done);
        }

        @Override
        public void close() {
            bar.close();
        }
    }

    /** One line every few seconds. */
    static final class Lines extends Progress {
        private static final long FIRST = Duration.ofSeconds(2).toNanos();
        private static final long INTERVAL = Duration.ofSeconds(5).toNanos();

        /** Steps that come sooner are from an earlier run. */
        private static final long INSTANT = Duration.ofMillis(100).toNanos();

        private final String task;
        private final long total;
        private final PrintStream out;
        private final LongSupplier nanos;
        private final long start;
        private long next;
        private long done;
        private long known;
        private long printed = -1;
        private String note = "";

        Lines(String task, long total, PrintStream out, LongSupplier nanos) {
            this.task = task;
            this.total = total;
            this.out = out;
            this.nanos = nanos;
            this.start = nanos.getAsLong();
            this.next = start + FIRST;
        }

        @Override
        void step(String note) {
            to(done + 1, note);
        }

        @Override
        void to(long newDone, String note) {
            done = newDone;
            this.note = note;
            long now = nanos.getAsLong();
            if (now - start < INSTANT) {
                known = done;
            }
            if (now - next >= 0) {
                print(now);
                next = now + INTERVAL;
            }
        }

        @Override
        public void close() {
            if (printed >= 0 && printed < done) {
                print(nanos.getAsLong());
            }
        }

        /** What is left at the pace of those steps that were not known already. */
        private String left(long now) {
            if (total == UNKNOWN || done <= known || done >= total) {
                return "";
            }
            var left = Duration.ofNanos((now - start) / (done - known) * (total - done));
            return ", about %d:%02d left".formatted(left.toMinutes(), left.toSecondsPart());
        }

        private void print(long now) {
            printed = done;
            var elapsed = Duration.ofNanos(now - start);
            out.printf(
                    "%s: %s, %d:%02d%s%s%n",
                    task,
                    total == UNKNOWN
                            ? done
                            : "%d%% (%d of %d)"
                                    .formatted(100 * done / Math.max(total, 1), done, total),
                    elapsed.toMinutes(),
                    elapsed.toSecondsPart(),
                    left(now),
                    note.isEmpty() ? "" : ", " + note);
        }
    }
}
