package io.espalier.slim;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.slim.Remainders.Remainder;
import io.espalier.tensor.EspalierException;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.ToDoubleFunction;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/** Three feed-forward layers on a stream that takes most of the time, and is dear to lose. */
@DisplayName("A search for widths of a largest drop")
class DropSearchTest {
    private static final int[] COUNTS = {128, 128, 128, 32};
    private static final int STREAM = 3;

    private final WidthSearch search =
            new WidthSearch(
                    IntStream.range(0, COUNTS.length).mapToObj(DropSearchTest::group).toList(),
                    List.of(errors(0.002), errors(0.002), errors(0.002), streamErrors()),
                    costs());

    private static Group group(int number) {
        var place = new Place("w" + number, 0);
        Stream<Unit> units =
                IntStream.range(0, COUNTS[number])
                        .mapToObj(i ->
                                new Unit(i, new LinkedHashMap<>(Map.of(place, new int[] {i}))));
        return new Group(number + 1, units.toList(), Optional.empty(), false);
    }

    /** Of units that do more and more, the last of them very much. */
    private static double[] errors(double most) {
        double[] errors = new double[COUNTS[0]];
        Arrays.setAll(errors, gone -> most * Math.pow(gone / 112.0, 2));
        return errors;
    }

    private static double[] streamErrors() {
        double[] errors = new double[COUNTS[STREAM]];
        Arrays.setAll(errors, gone -> 0.0025 * gone);
        return errors;
    }

    /** Beyond a point narrower layers are hardly faster. */
    private static WidthCosts costs() {
        var costs = new WidthCosts(COUNTS.length);
        costs.add(share -> 0.8 * share, List.of(share(STREAM)));
        for (int layer = 0; layer < STREAM; layer++) {
            costs.add(
                    share -> 0.01 * share + 0.06 * Math.max(0, share - 0.5),
                    List.of(share(STREAM), share(layer)));
        }
        return costs;
    }

    private static Remainder share(int group) {
        return new Remainder(Map.of(List.of(group), 1.0), COUNTS);
    }

    @ParameterizedTest
    @ValueSource(doubles = {0.001, 0.003, 0.006, 0.008, 0.04})
    @DisplayName("comes near to it with few models, though more is lost than is foreseen")
    void comesNear(double largest) {
        var tried = new AtomicInteger();

        int[] widths =
                widths(
                        largest,
                        at -> {
                            tried.incrementAndGet();
                            return drop(at);
                        });

        assertTrue(drop(widths) <= largest, Arrays.toString(widths));
        assertTrue(drop(widths) >= 0.8 * largest, Arrays.toString(widths));
        assertTrue(tried.get() <= 6, tried::toString);
    }

    private int[] widths(double largest, ToDoubleFunction<int[]> drop) {
        return DropSearch.widths(search, largest, drop, (stage, done, total) -> {});
    }

    private double drop(int[] at) {
        return 1.7 * search.error(at);
    }

    @Test
    @DisplayName("gives nothing that is further off, and says that nothing was found")
    void findsNothing() {
        var error = assertThrows(EspalierException.class, () -> widths(0.01, at -> 0.02));

        assertEquals(
                "Nothing was found that can go for a drop of 0.01; give more.", error.getMessage());
    }

    @Test
    @DisplayName("knows the widths at which least is lost though all of one group stays")
    void keepsTheDear() {
        int[] narrow = {32, 32, 32, 32};

        int[] found = search.within(search.cost(narrow)).orElseThrow();

        assertEquals(32, found[STREAM], Arrays.toString(found));
    }
}
