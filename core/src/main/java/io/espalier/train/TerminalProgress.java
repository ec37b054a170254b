package io.espalier.train;

import org.jspecify.annotations.Nullable;

import java.io.Console;
import java.io.PrintWriter;
import java.util.Locale;
import java.util.function.Consumer;
import java.util.function.LongSupplier;

/**
 * Shows at a terminal how far a training is: a line for each epoch and each evaluation, and below
 * them one that changes, with what has been done, the loss, and how long the rest will take.
 */
final class TerminalProgress implements Consumer<TrainingEvent>, AutoCloseable {
    /** Often enough to look alive, seldom enough to cost nothing. */
    private static final long NANOS_BETWEEN = 100_000_000;

    private static final int BAR = 20;

    private final @Nullable PrintWriter terminal;
    private final int epochs;
    private final LongSupplier clock;
    private final long begun;
    private long firstStep = -1;
    private long shown;

    /** The characters of the line that changes; 0 where there is none. */
    private int width;

    TerminalProgress(@Nullable PrintWriter terminal, int epochs, LongSupplier clock) {
        this.terminal = terminal;
        this.epochs = epochs;
        this.clock = clock;
        begun = clock.getAsLong();
        shown = begun;
    }

    /** What a trainer shows: nothing, unless it may and there is a terminal. */
    static TerminalProgress of(boolean quiet, int epochs) {
        Console console = quiet ? null : System.console();
        return new TerminalProgress(
                console != null && console.isTerminal() ? console.writer() : null,
                epochs,
                System::nanoTime);
    }

    /** Whether anybody sees it. */
    boolean isShown() {
        return terminal != null;
    }

    @Override
    public void accept(TrainingEvent event) {
        if (terminal == null) {
            return;
        }
        switch (event) {
            case TrainingEvent.Step step -> show(terminal, step);
            case TrainingEvent.EpochEnd end ->
                    keep(terminal, epoch(end.epoch()) + loss(end.loss()));
            case TrainingEvent.Evaluated evaluated ->
                    keep(terminal, evaluated.scores() + (evaluated.best() ? " (best)" : ""));
            case TrainingEvent.Checkpointed ignored -> {}
        }
    }

    private void show(PrintWriter out, TrainingEvent.Step step) {
        if (firstStep < 0) {
            firstStep = step.step();
        }
        long now = clock.getAsLong();
        if (now - shown < NANOS_BETWEEN) {
            return;
        }
        shown = now;
        int full = Math.toIntExact(BAR * step.step() / step.steps());
        double seconds =
                (now - begun) / 1e9 / (step.step() - firstStep + 1) * (step.steps() - step.step());
        write(
                out,
                epoch(step.epoch())
                        + " ["
                        + "#".repeat(full)
                        + "-".repeat(BAR - full)
                        + "] "
                        + step.step()
                        + "/"
                        + step.steps()
                        + loss(step.loss())
                        + ", "
                        + time(Math.round(seconds))
                        + " left");
    }

    private String epoch(int number) {
        return "epoch " + (number + 1) + "/" + epochs;
    }

    private static String loss(double value) {
        return String.format(Locale.ROOT, ", loss %.4f", value);
    }

    private static String time(long seconds) {
        return seconds < 3600
                ? "%d:%02d".formatted(seconds / 60, seconds % 60)
                : "%d:%02d:%02d".formatted(seconds / 3600, seconds / 60 % 60, seconds % 60);
    }

    /** Writes over the line that changes. */
    private void write(PrintWriter out, String line) {
        out.print("\r" + line + " ".repeat(Math.max(0, width - line.length())));
        out.flush();
        width = line.length();
    }

    /** Writes a line that stays. */
    private void keep(PrintWriter out, String line) {
        write(out, line);
        close();
    }

    /** Ends the line that changes. */
    @Override
    public void close() {
        if (terminal != null && width > 0) {
            terminal.println();
            terminal.flush();
            width = 0;
        }
    }
}
