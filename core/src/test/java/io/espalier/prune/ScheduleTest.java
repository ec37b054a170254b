package io.espalier.prune;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.util.List;
import java.util.Random;

class ScheduleTest {
    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
    @DisplayName("every schedule begins at its first sparsity, never falls, and ends at its last")
    void isMonotone(long seed) {
        var random = new Random(seed);
        double a = random.nextDouble();
        double b = random.nextDouble();
        double from = Math.min(a, b);
        double to = Math.max(a, b);
        int steps = 1 + random.nextInt(200);
        int delay = random.nextInt(50);
        for (Schedule schedule :
                List.of(
                        Schedule.linear(from, to, steps),
                        Schedule.cubic(from, to, steps),
                        Schedule.exponential(from, to, steps),
                        Schedule.cubic(from, to, steps).after(delay))) {
            assertEquals(from, schedule.at(0), 1e-12);
            assertEquals(to, schedule.at(schedule.steps()));
            assertEquals(to, schedule.at(schedule.steps() + 1 + random.nextInt(1000)));
            for (int step = 1; step <= schedule.steps(); step++) {
                assertTrue(
                        schedule.at(step) >= schedule.at(step - 1), schedule + " at step " + step);
            }
        }
    }

    @Test
    @DisplayName("the curves are those of their papers")
    void curves() {
        assertEquals(0.5, Schedule.linear(0.2, 0.8, 10).at(5), 1e-12);
        assertEquals(0.95 * (1 - 0.125), Schedule.cubic(0, 0.95, 10).at(5), 1e-12);
        // 20 % of what is left, three times
        assertEquals(1 - 0.8 * 0.8, Schedule.exponential(0, 1 - 0.512, 3).at(2), 1e-12);
        assertEquals(0, Schedule.oneShot(0.9).at(0));
        assertEquals(0.9, Schedule.oneShot(0.9).at(1));
    }

    @Test
    @DisplayName("a delayed schedule waits, then runs as the other does")
    void delayed() {
        Schedule schedule = Schedule.cubic(0, 0.95, 10).after(4);
        assertEquals(14, schedule.steps());
        assertEquals(0, schedule.at(4));
        assertEquals(Schedule.cubic(0, 0.95, 10).at(3), schedule.at(7));
    }

    @Test
    @DisplayName("a sparsity out of range, a falling schedule and a wrong step are named")
    void wrongUse() {
        assertEquals(
                "A schedule rises from one sparsity to another in [0, 1]; asked for 0.0 to 1.5.",
                messageOf(() -> Schedule.cubic(0, 1.5, 10)));
        assertEquals(
                "A schedule rises from one sparsity to another in [0, 1]; asked for 0.9 to 0.5.",
                messageOf(() -> Schedule.linear(0.9, 0.5, 10)));
        assertTrue(messageOf(() -> Schedule.oneShot(Double.NaN)).contains("NaN"));
        assertTrue(messageOf(() -> Schedule.exponential(0, 1, 3)).contains("never reaches 1"));
        assertEquals(
                "A schedule has at least 1 step; asked for 0.",
                messageOf(() -> Schedule.linear(0, 0.5, 0)));
        assertEquals(
                "A schedule's steps run from 0 to 3; asked for -1.",
                messageOf(() -> Schedule.linear(0, 0.5, 3).at(-1)));
        assertTrue(messageOf(() -> Schedule.oneShot(0.5).after(-2)).contains("-2"));
    }
}
