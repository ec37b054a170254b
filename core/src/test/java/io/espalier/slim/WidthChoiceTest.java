package io.espalier.slim;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.slim.WidthChoice.Option;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.RepeatedTest;
import org.junit.jupiter.api.RepetitionInfo;
import org.junit.jupiter.api.Test;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;

@DisplayName("The choice of widths")
class WidthChoiceTest {
    @RepeatedTest(20)
    @DisplayName("loses the least of all choices within the budget")
    void isBest(RepetitionInfo repetition) {
        var random = new Random(repetition.getCurrentRepetition());
        List<List<Option>> groups = new ArrayList<>();
        for (int group = 0; group < 5; group++) {
            List<Option> options = new ArrayList<>();
            for (int option = 0; option < 2 + random.nextInt(4); option++) {
                // Whole numbers, which the steps of the budget hit.
                options.add(new Option(1 + random.nextInt(16), random.nextDouble()));
            }
            groups.add(options);
        }
        double least = least(groups);
        double budget = least + 32;

        int[] chosen = WidthChoice.of(groups, budget).orElseThrow();

        double cost = 0;
        double error = 0;
        for (int group = 0; group < chosen.length; group++) {
            cost += groups.get(group).get(chosen[group]).cost();
            error += groups.get(group).get(chosen[group]).error();
        }
        assertTrue(cost <= budget);
        assertEquals(leastError(groups, 0, budget), error, 1e-12);
    }

    private static double least(List<List<Option>> groups) {
        return groups.stream()
                .mapToDouble(g -> g.stream().mapToDouble(Option::cost).min().orElseThrow())
                .sum();
    }

    private static double leastError(List<List<Option>> groups, int from, double budget) {
        if (from == groups.size()) {
            return budget >= 0 ? 0 : Double.POSITIVE_INFINITY;
        }
        return groups.get(from).stream()
                .mapToDouble(o -> o.error() + leastError(groups, from + 1, budget - o.cost()))
                .min()
                .orElseThrow();
    }

    @Test
    @DisplayName("is none where even the narrowest cost too much, and the narrowest at their cost")
    void isNone() {
        List<List<Option>> groups =
                List.of(
                        List.of(new Option(2, 1), new Option(4, 0)),
                        List.of(new Option(9, 0), new Option(3, 5)));

        assertTrue(WidthChoice.of(groups, 4.9).isEmpty());
        assertArrayEquals(new int[] {0, 1}, WidthChoice.of(groups, 5).orElseThrow());
    }
}
