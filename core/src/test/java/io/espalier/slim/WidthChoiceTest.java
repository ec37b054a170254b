package io.espalier.slim;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.slim.WidthChoice.Option;
import io.espalier.slim.WidthChoice.Part;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.RepeatedTest;
import org.junit.jupiter.api.RepetitionInfo;
import org.junit.jupiter.api.Test;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
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

        int[] chosen = chosen(groups, budget);

        double cost = 0;
        double error = 0;
        for (int group = 0; group < chosen.length; group++) {
            cost += groups.get(group).get(chosen[group]).cost();
            error += groups.get(group).get(chosen[group]).error();
        }
        assertTrue(cost <= budget);
        assertEquals(leastError(groups, 0, budget), error, 1e-12);
    }

    /** Of groups that all stay. */
    private static int[] chosen(List<List<Option>> groups, double budget) {
        return WidthChoice.of(groups.stream().map(Part::of).toList(), budget).orElseThrow().stream()
                .mapToInt(part -> part.orElseThrow()[0])
                .toArray();
    }

    @RepeatedTest(20)
    @DisplayName("takes out a block with all its groups where that loses least")
    void takesBlocks(RepetitionInfo repetition) {
        var random = new Random(repetition.getCurrentRepetition());
        List<Part> parts = new ArrayList<>();
        for (int part = 0; part < 4; part++) {
            List<List<Option>> groups = new ArrayList<>();
            for (int group = 0; group < 2; group++) {
                groups.add(
                        List.of(
                                new Option(random.nextInt(16), random.nextDouble()),
                                new Option(random.nextInt(16), random.nextDouble())));
            }
            var gone = new Option(-random.nextInt(8), 2 * random.nextDouble());
            parts.add(new Part(groups, random.nextInt(8), Optional.of(gone)));
        }
        double budget = leastOf(parts) + 32;

        List<Optional<int[]>> chosen = WidthChoice.of(parts, budget).orElseThrow();

        double cost = 0;
        double error = 0;
        for (int part = 0; part < parts.size(); part++) {
            Option sum = parts.get(part).gone().orElseThrow();
            if (chosen.get(part).isPresent()) {
                int[] at = chosen.get(part).get();
                sum = there(parts.get(part), at[0], at[1]);
            }
            cost += sum.cost();
            error += sum.error();
        }
        assertTrue(cost <= budget);
        List<List<Option>> whole = parts.stream().map(WidthChoiceTest::all).toList();
        assertEquals(leastError(whole, 0, budget), error, 1e-12);
    }

    private static double leastOf(List<Part> parts) {
        return least(parts.stream().map(WidthChoiceTest::all).toList());
    }

    /** Everything that may become of a part of two groups. */
    private static List<Option> all(Part part) {
        List<Option> all = new ArrayList<>(part.gone().stream().toList());
        for (int first = 0; first < 2; first++) {
            for (int second = 0; second < 2; second++) {
                all.add(there(part, first, second));
            }
        }
        return all;
    }

    private static Option there(Part part, int first, int second) {
        Option one = part.groups().get(0).get(first);
        Option other = part.groups().get(1).get(second);
        return new Option(part.cost() + one.cost() + other.cost(), one.error() + other.error());
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

        assertTrue(WidthChoice.of(groups.stream().map(Part::of).toList(), 4.9).isEmpty());
        assertArrayEquals(new int[] {0, 1}, chosen(groups, 5));
    }
}
