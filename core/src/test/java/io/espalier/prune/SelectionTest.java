package io.espalier.prune;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.random.RandomGenerator;
import java.util.stream.IntStream;

class SelectionTest {
    /** How the magnitudes of a case are spread: what a radix selection could trip over. */
    enum Spread {
        NORMAL {
            @Override
            float draw(RandomGenerator random) {
                return (float) random.nextGaussian();
            }
        },
        FEW_VALUES {
            @Override
            float draw(RandomGenerator random) {
                return random.nextInt(-2, 3);
            }
        },
        ALL_EQUAL {
            @Override
            float draw(RandomGenerator random) {
                return random.nextBoolean() ? 0.1f : -0.1f;
            }
        },
        MOSTLY_ZERO {
            @Override
            float draw(RandomGenerator random) {
                return random.nextInt(10) == 0 ? (float) random.nextGaussian() : -0.0f;
            }
        },
        NEIGHBOURING_BITS {
            @Override
            float draw(RandomGenerator random) {
                return Float.intBitsToFloat(0x3f80_0000 + random.nextInt(40_000));
            }
        },
        ANY_BITS {
            @Override
            float draw(RandomGenerator random) {
                float any = Float.intBitsToFloat(random.nextInt());
                return Float.isNaN(any) ? Float.POSITIVE_INFINITY : any;
            }
        };

        abstract float draw(RandomGenerator random);
    }

    /** Scores and, for an entry that is pruned already, {@code kept} = 0. */
    private record Case(Tensor scores, Tensor kept, boolean masked) {
        static Case draw(Spread spread, int size, RandomGenerator random) {
            float[] scores = new float[size];
            float[] kept = new float[size];
            boolean masked = random.nextBoolean();
            for (int i = 0; i < size; i++) {
                scores[i] = spread.draw(random);
                kept[i] = masked && random.nextInt(3) == 0 ? 0 : 1;
            }
            return new Case(Tensors.of(scores), Tensors.of(kept), masked);
        }

        Selection.Entries entries() {
            return new Selection.Entries(scores, masked ? kept : null);
        }
    }

    /** The places of the entries that are kept so far, in the order they are to be pruned. */
    private static int[] sorted(float[] scores, float[] kept) {
        return IntStream.range(0, scores.length)
                .filter(i -> kept[i] != 0)
                .mapToLong(i -> ((long) Float.floatToIntBits(Math.abs(scores[i])) << 32) + i)
                .sorted()
                .mapToInt(key -> (int) key)
                .toArray();
    }

    private static float[] join(List<Tensor> tensors) {
        List<float[]> parts = tensors.stream().map(Tensors::floats).toList();
        float[] all = new float[parts.stream().mapToInt(part -> part.length).sum()];
        int at = 0;
        for (float[] part : parts) {
            System.arraycopy(part, 0, all, at, part.length);
            at += part.length;
        }
        return all;
    }

    private static float[] selected(List<Case> cases, int count) {
        try (var scope = new PointerScope()) {
            List<Selection.Entries> entries = cases.stream().map(Case::entries).toList();
            return join(Selection.lowest(entries, Amount.count(count)));
        }
    }

    private static void check(List<Case> cases, RandomGenerator random) {
        float[] kept = join(cases.stream().map(Case::kept).toList());
        int[] order = sorted(join(cases.stream().map(Case::scores).toList()), kept);
        int all = order.length;
        for (int count : new int[] {0, all, all / 2, random.nextInt(all + 1), Math.min(all, 1)}) {
            float[] expected = kept.clone();
            Arrays.stream(order).limit(count).forEach(place -> expected[place] = 0);
            assertArrayEquals(expected, selected(cases, count));
        }
    }

    @ParameterizedTest
    @EnumSource(Spread.class)
    @DisplayName("prunes just what sorting by magnitude and place would, in one tensor or many")
    void sameAsSorting(Spread spread) {
        for (int seed = 0; seed < 40; seed++) {
            var random = new Random(seed);
            List<Case> cases = new ArrayList<>();
            for (int tensors = random.nextInt(1, 4); tensors > 0; tensors--) {
                cases.add(Case.draw(spread, random.nextInt(1, 400), random));
            }
            check(cases, random);
        }
    }

    @ParameterizedTest
    @EnumSource(Spread.class)
    @DisplayName("does so too over many chunks, and where very many entries are equal")
    void sameAsSortingLarge(Spread spread) {
        var random = new Random(7);
        check(
                List.of(
                        Case.draw(spread, 600_000, random),
                        Case.draw(spread, 5_000, random),
                        Case.draw(spread, 300_000, random)),
                random);
    }

    @ParameterizedTest
    @ValueSource(strings = {"Half", "BFloat16"})
    @DisplayName("ranks half-precision scores by their own values")
    void half(String type) {
        Tensor scores = Tensors.of(3, -1, 2, 0.5f).to(ScalarType.valueOf(type));

        Tensor mask =
                Selection.lowest(List.of(new Selection.Entries(scores, null)), Amount.count(2))
                        .getFirst();

        assertArrayEquals(new float[] {1, 0, 1, 0}, Tensors.floats(mask));
    }

    @Test
    @DisplayName("reads a transposed tensor in its own order")
    void transposed() {
        Tensor scores = Tensors.of(new float[] {1, 2, 3, 1, 5, 6}, 2, 3).t();

        Tensor mask =
                Selection.lowest(List.of(new Selection.Entries(scores, null)), Amount.count(1))
                        .getFirst();

        assertArrayEquals(new long[] {3, 2}, Tensors.shape(mask));
        assertArrayEquals(new float[] {0, 1, 1, 1, 1, 1}, Tensors.floats(mask));
    }

    @Test
    @DisplayName("names the place of a NaN, and passes over one that is pruned already")
    void nan() {
        Tensor scores = Tensors.of(new float[] {1, 2, Float.NaN, 4}, 2, 2);
        Tensor mask = Tensors.of(new float[] {1, 1, 0, 1}, 2, 2);

        String message =
                messageOf(() ->
                        Selection.lowest(
                                List.of(new Selection.Entries(scores, null)), Amount.count(1)));
        Tensor passed =
                Selection.lowest(List.of(new Selection.Entries(scores, mask)), Amount.count(1))
                        .getFirst();

        assertEquals(
                "NaN at index [1, 0] can't be ranked; repair it, or give importance scores without"
                        + " NaN.",
                message);
        assertArrayEquals(new float[] {0, 1, 0, 1}, Tensors.floats(passed));
    }

    @Test
    @DisplayName("every subset of a size is drawn at random equally often")
    void randomSubsets() {
        int[] drawn = new int[16];
        for (int i = 0; i < 3000; i++) {
            try (var scope = new PointerScope()) {
                Tensor mask =
                        RandomSelection.of(
                                        List.of(new Selection.Entries(Tensors.ones(4), null)),
                                        Amount.count(2))
                                .getFirst();
                int subset = 0;
                for (float value : Tensors.floats(mask)) {
                    subset = 2 * subset + (int) value;
                }
                drawn[subset]++;
            }
        }
        for (int subset = 0; subset < drawn.length; subset++) {
            int times = drawn[subset];
            // 500 expected, standard deviation 20
            assertTrue(
                    Integer.bitCount(subset) == 2 ? times > 400 && times < 600 : times == 0,
                    Arrays.toString(drawn));
        }
    }
}
