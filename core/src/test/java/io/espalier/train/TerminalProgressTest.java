package io.espalier.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;

class TerminalProgressTest {
    private final StringWriter terminal = new StringWriter();
    private final AtomicLong nanos = new AtomicLong();
    private final TerminalProgress progress =
            new TerminalProgress(new PrintWriter(terminal), 2, nanos::get);

    private void step(long step, double seconds) {
        nanos.set((long) (seconds * 1e9));
        progress.accept(new TrainingEvent.Step(step, 40, (int) ((step - 1) / 20), 0.5, 0.1));
    }

    /** What stands at the terminal in the end: each line as it was last written over. */
    private List<String> lines() {
        return Arrays.stream(terminal.toString().split(System.lineSeparator()))
                .map(line -> line.substring(line.lastIndexOf('\r') + 1).stripTrailing())
                .toList();
    }

    @Test
    @DisplayName("shows how far a training is and how long it will take, epochs and scores stay")
    void shows() {
        for (int step = 1; step <= 20; step++) {
            step(step, step);
        }
        assertEquals(
                List.of("epoch 1/2 [##########----------] 20/40, loss 0.5000, 0:20 left"), lines());
        progress.accept(new TrainingEvent.EpochEnd(0, 20, 0.25));
        progress.accept(
                new TrainingEvent.Evaluated(
                        0, new Scores(20, new LinkedHashMap<>(Map.of("accuracy", 0.5))), true));
        step(21, 21);
        progress.close();
        assertEquals(
                List.of(
                        "epoch 1/2, loss 0.2500",
                        "step 20, accuracy 0.5000 (best)",
                        "epoch 2/2 [##########----------] 21/40, loss 0.5000, 0:19 left"),
                lines());
    }

    @Test
    @DisplayName("writes at most ten times a second")
    void seldom() {
        for (int step = 1; step <= 40; step++) {
            step(step, 0.02 * step);
        }
        assertEquals(8, terminal.toString().chars().filter(c -> c == '\r').count());
    }

    @Test
    @DisplayName("says nothing where there is no terminal, as in this test")
    void noTerminal() {
        for (boolean quiet : new boolean[] {false, true}) {
            try (var none = TerminalProgress.of(quiet, 1)) {
                assertFalse(none.isShown());
                none.accept(new TrainingEvent.EpochEnd(0, 1, 1));
            }
        }
    }
}
