package io.espalier.cli;

import io.espalier.onnx.quant.QuantizationProgress;

import org.jspecify.annotations.Nullable;

import java.io.PrintStream;
import java.util.function.LongSupplier;

/**
 * How far work in stages is, on standard error, and how long the rest will take: a line for each
 * stage and, within a stage, a bar on a terminal and a line every few seconds elsewhere. Nothing is
 * said in the first two seconds.
 */
final class StageProgress implements AutoCloseable {
    private static final long SECOND = 1_000_000_000L;
    private static final long QUIET = 2 * SECOND;
    private static final long INTERVAL = 5 * SECOND;

    private final PrintStream out;
    private final LongSupplier clock;
    private final boolean bars;
    private final long start;
    private long said;
    private String stage = "";
    private boolean isSaid;
    private long stageStart;
    private long stageDone;
    private @Nullable Progress bar;

    /**
     * @param bars whether stages whose parts are counted are bars
     */
    StageProgress(PrintStream out, LongSupplier clock, boolean bars) {
        this.out = out;
        this.clock = clock;
        this.bars = bars;
        this.start = clock.getAsLong();
        this.said = start;
    }

    static StageProgress onStandardError() {
        return new StageProgress(System.err, System::nanoTime, Progress.onTerminal());
    }

    /** So much of a stage is done; the stage's own pace says what is left of it. */
    void at(String name, long done, long total) {
        begin(name, done);
        long passed = clock.getAsLong() - stageStart;
        boolean counted = total > 1 && done > stageDone;
        long left = counted ? passed / (done - stageDone) * (total - done) / SECOND : 0;
        show(
                total > 1 ? "%s: %d of %d".formatted(name, done, total) : name,
                done,
                total,
                counted ? "about %d s left".formatted(left) : "");
    }

    /** The same of work that says itself what is left of all of it. */
    void at(QuantizationProgress progress) {
        begin(progress.step(), progress.done());
        String left =
                progress.left()
                        .map(time -> "up to %d s left".formatted(time.toSeconds() + 1))
                        .orElse("");
        show(
                progress.total() > 1
                        ? "%s: %d of %d"
                                .formatted(progress.step(), progress.done(), progress.total())
                        : progress.step(),
                progress.done(),
                progress.total(),
                left);
    }

    private void begin(String name, long done) {
        if (!name.equals(stage) || done < stageDone) {
            closeBar();
            stage = name;
            isSaid = false;
            stageStart = clock.getAsLong();
            stageDone = done;
        }
    }

    private void show(String words, long done, long total, String left) {
        long now = clock.getAsLong();
        if (now - start < QUIET) {
            return;
        }
        if (bars && total > 1) {
            Progress shown = bar;
            if (shown == null) {
                shown = Progress.of(Printable.line(stage), total);
                bar = shown;
            }
            shown.to(done, left);
        } else if (!isSaid || now - said >= INTERVAL) {
            said = now;
            isSaid = true;
            out.printf(
                    "%5d s  %s%s%n",
                    (now - start) / SECOND,
                    Printable.line(words),
                    left.isEmpty() ? "" : ", " + left);
        }
    }

    private void closeBar() {
        if (bar != null) {
            bar.close();
            bar = null;
        }
    }

    @Override
    public void close() {
        closeBar();
        out.flush();
    }
}
