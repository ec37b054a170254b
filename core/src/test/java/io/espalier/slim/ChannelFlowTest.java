package io.espalier.slim;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.tensor.EspalierException;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.SequencedMap;
import java.util.stream.IntStream;
import java.util.stream.LongStream;

@DisplayName("The flow of channels")
class ChannelFlowTest {
    private final ChannelFlow flow = new ChannelFlow();
    private final SequencedMap<String, List<Axis>> constants = new LinkedHashMap<>();
    private final Map<String, long[]> extents = new LinkedHashMap<>();

    private Axis fresh(String name, long extent) {
        Axis axis = flow.fresh(extent);
        constants.put(name, List.of(axis));
        extents.put(name, new long[] {extent});
        return axis;
    }

    private Groups groups() {
        return flow.groups(constants, extents);
    }

    @Test
    @DisplayName("unites what is summed, and lets what is joined go by itself")
    void unitesAndMoves() {
        Axis a = fresh("a", 4);
        Axis b = fresh("b", 4);
        Axis c = fresh("c", 3);
        Axis reader = fresh("reader", 7);
        flow.unite(a, b, "");
        flow.unite(flow.concatenate(List.of(a, c), new long[] {4, 3}), reader, "");

        assertEquals(
                """
                1: 4 units of a[0], b[0], reader[0]
                2: 3 units of c[0], reader[0]
                """,
                groups().toString());
        Unit last = groups().all().getLast().units().getLast();
        assertEquals(6, last.slices().getOrDefault(new Place("reader", 0), new int[0])[0]);
    }

    @Test
    @DisplayName("keeps rows and columns apart where there are as many of both")
    void findsSquares() {
        Axis square = fresh("square", 16);
        flow.reshape(List.of(square), new long[] {16}, new long[] {4, 4});

        assertEquals(
                """
                1: 4 units of 4 of square[0]; shares channels with 2
                2: 4 units of 4 of square[0]; shares channels with 1
                """,
                groups().toString());
    }

    @Test
    @DisplayName("makes heads, and places within heads, of a dimension that is divided")
    void findsHeads() {
        Axis query = fresh("query", 32);
        Axis key = fresh("key", 32);
        List<Axis> q = flow.reshape(List.of(query), new long[] {32}, new long[] {4, 8});
        List<Axis> k = flow.reshape(List.of(key), new long[] {32}, new long[] {4, 8});
        flow.unite(q.get(0), k.get(0), "");
        flow.unite(q.get(1), k.get(1), "");

        Groups groups = groups();

        assertEquals(
                """
                1: 4 units of 8 of query[0], 8 of key[0]; shares channels with 2
                2: 8 units of 4 of query[0], 4 of key[0]; shares channels with 1
                """,
                groups.toString());
        Cut choice =
                groups.choose(
                        List.of(
                                groups.all().getFirst().units().getFirst(),
                                groups.all().getLast().units().getFirst()));
        assertEquals(21, choice.extent(query, 32));
        assertEquals(3, choice.extent(k.get(0), 4));
        assertEquals(7, choice.extent(k.get(1), 8));
    }

    @Test
    @DisplayName("says why something stays")
    void tellsReasons() {
        Axis a = fresh("a", 4);
        Axis b = fresh("b", 4);
        flow.unite(a, b, "");
        flow.pin(b, "'y' is a result");

        assertEquals("stays, since 'y' is a result: a[0], b[0]\n", groups().toString());
        assertTrue(flow.isPinned(a));
    }

    @Test
    @DisplayName("joins channels with what has none, and divides them again")
    void keepsStrides() {
        Axis channels = fresh("channels", 6);
        Axis flat =
                flow.reshape(
                                List.of(channels, Axis.PLAIN, Axis.PLAIN),
                                new long[] {6, 5, 7},
                                new long[] {210})
                        .getFirst();
        Axis reader = fresh("reader", 210);
        flow.unite(flat, reader, "");

        Groups groups = groups();

        assertEquals("1: 6 units of channels[0], 35 of reader[0]\n", groups.toString());
        Cut choice = groups.choose(groups.all().getFirst().units().subList(0, 2));
        assertEquals(140, choice.extent(flat, 210));
    }

    @Test
    @DisplayName("refuses to remove all of a group, and units of another model")
    void refuses() {
        fresh("a", 4);
        Groups groups = groups();
        List<Unit> all = groups.all().getFirst().units();

        String whole = assertThrows(EspalierException.class, () -> groups.choose(all)).getMessage();
        assertEquals("All 4 units of group a[0] would go; leave one at least.", whole);
        var other = new ChannelFlow();
        Groups others =
                other.groups(new LinkedHashMap<>(Map.of("a", List.of(other.fresh(4)))), extents);
        assertThrows(EspalierException.class, () -> others.choose(all.subList(0, 1)));
    }

    @SuppressWarnings("ArrayRecordComponent") // Never compared.
    private record Value(List<Axis> axes, long[] extents) {}

    /** An element of a value, and whether it is left. */
    private static boolean[] left(List<Axis> axes, long[] extents, Cut choice) {
        int count = (int) LongStream.of(extents).reduce(1, (a, b) -> a * b);
        boolean[] left = new boolean[count];
        for (int i = 0; i < count; i++) {
            long rest = i;
            left[i] = true;
            for (int d = extents.length - 1; d >= 0; d--) {
                left[i] &= choice.isKept(axes.get(d), rest % extents[d]);
                rest /= extents[d];
            }
        }
        return left;
    }

    private static long[] shape(Random random, int count) {
        List<Long> factors = new ArrayList<>();
        int rest = count;
        for (int prime = 2; rest > 1; prime++) {
            for (; rest % prime == 0; rest /= prime) {
                factors.add((long) prime);
            }
        }
        Collections.shuffle(factors, random);
        List<Long> shape = new ArrayList<>(List.of(1L));
        for (long factor : factors) {
            if (random.nextBoolean()) {
                shape.add(factor);
            } else {
                shape.set(shape.size() - 1, shape.getLast() * factor);
            }
        }
        return shape.stream().mapToLong(Long::longValue).toArray();
    }

    @ParameterizedTest(name = "seed {0}")
    @ValueSource(ints = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12})
    @DisplayName("leaves the same elements before and after any reshape")
    void reshapesElements(int seed) {
        var random = new Random(seed);
        for (int round = 0; round < 20; round++) {
            var own = new ChannelFlow();
            var named = new LinkedHashMap<String, List<Axis>>();
            var sizes = new LinkedHashMap<String, long[]>();
            List<Value> values = new ArrayList<>();
            long[] extents = shape(random, 720);
            List<Axis> axes =
                    LongStream.of(extents)
                            .mapToObj(e -> random.nextInt(4) == 0 ? Axis.PLAIN : own.fresh(e))
                            .toList();
            named.put("w", axes);
            sizes.put("w", extents);
            values.add(new Value(axes, extents));
            for (int step = 0; step < 3; step++) {
                long[] to = shape(random, 720);
                axes = own.reshape(axes, extents, to);
                extents = to;
                values.add(new Value(axes, extents));
            }
            Groups groups = own.groups(named, sizes);
            List<Unit> some = new ArrayList<>();
            for (Group group : groups.all()) {
                int most = group.units().size() - 1;
                some.addAll(group.units().subList(0, most == 0 ? 0 : random.nextInt(most)));
            }
            Cut choice = groups.choose(some);
            boolean[] expected =
                    left(values.getFirst().axes(), values.getFirst().extents(), choice);
            for (Value value : values) {
                boolean[] found = left(value.axes(), value.extents(), choice);
                assertTrue(
                        IntStream.range(0, 720).allMatch(i -> expected[i] == found[i]),
                        () -> "round " + seed);
            }
        }
    }

    @Test
    @DisplayName("finds something to remove through a reshape and back")
    void comesBack() {
        Axis a = fresh("a", 24);
        List<Axis> table = flow.reshape(List.of(a), new long[] {24}, new long[] {4, 6});
        Axis back = flow.reshape(table, new long[] {4, 6}, new long[] {24}).getFirst();
        flow.unite(back, fresh("b", 24), "");

        assertFalse(flow.isPinned(a));
        assertEquals(2, groups().all().size());
    }
}
