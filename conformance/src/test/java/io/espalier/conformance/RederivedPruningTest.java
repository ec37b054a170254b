package io.espalier.conformance;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import io.espalier.nn.Module;
import io.espalier.prune.Amount;
import io.espalier.prune.L1Unstructured;
import io.espalier.prune.LnStructured;
import io.espalier.prune.Prune;
import io.espalier.prune.Target;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.ToDoubleFunction;
import java.util.stream.IntStream;

/**
 * PyTorch's rules of pruning a second time, as plain loops over arrays, on random tensors full of
 * ties.
 */
@DisplayName("Pruning, derived anew in plain loops,")
class RederivedPruningTest {
    private static final int CASES = 300;
    private static final double[] NORMS = {
        1, 2, 3, 4, 0.5, Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY
    };

    static IntStream seeds() {
        return IntStream.range(0, CASES);
    }

    @ParameterizedTest(name = "sequence {0}")
    @DisplayName("gives the same mask after each step of a random sequence")
    @MethodSource("seeds")
    void sequences(int seed) {
        var random = new Draws(seed).random;
        long[] shape = shape(random, 2);
        float[] weight = weights(random, size(shape));
        var module = new Holder(Tensors.of(weight, shape));
        var expected = new float[weight.length];
        Arrays.fill(expected, 1);
        var story = new StringBuilder(Arrays.toString(shape));

        for (int step = random.nextInt(1, 5); step > 0; step--) {
            switch (random.nextInt(3)) {
                case 0 -> {
                    Amount amount = amount(random, count(expected));
                    story.append(" l1 ").append(amount);
                    prunedEntries(weight, expected, amount);
                    Prune.apply(module, "weight", new L1Unstructured(amount));
                }
                case 1 -> {
                    int dim = random.nextInt(shape.length);
                    double n = NORMS[random.nextInt(NORMS.length)];
                    Amount amount = amount(random, channels(expected, shape, dim).size());
                    story.append(" l%s dim %d ".formatted(n, dim)).append(amount);
                    prunedChannels(weight, expected, shape, dim, n, amount);
                    int written = random.nextBoolean() ? dim : dim - shape.length;
                    Prune.apply(module, "weight", new LnStructured(amount, n, written));
                }
                default -> {
                    float[] mask = new float[weight.length];
                    for (int i = 0; i < mask.length; i++) {
                        mask[i] = random.nextInt(4) == 0 ? 0 : 1;
                        expected[i] *= mask[i];
                    }
                    story.append(" custom");
                    Prune.customFromMask(module, "weight", Tensors.of(mask, shape));
                }
            }
            assertArrayEquals(expected, mask(module), story.toString());
        }
        assertArrayEquals(product(weight, expected), Tensors.floats(module.value("weight")));
    }

    @ParameterizedTest(name = "global {0}")
    @DisplayName(
            "gives the same masks over several parameters, some pruned before, with scores or"
                    + " without")
    @MethodSource("seeds")
    void global(int seed) {
        var random = new Draws(seed).random;
        List<Target> targets = new ArrayList<>();
        Map<Target, Tensor> scores = new LinkedHashMap<>();
        List<float[]> masks = new ArrayList<>();
        List<float[]> importance = new ArrayList<>();
        for (int t = random.nextInt(1, 5); t > 0; t--) {
            long[] shape = shape(random, 1);
            float[] weight = weights(random, size(shape));
            float[] mask = new float[weight.length];
            Arrays.fill(mask, 1);
            Target target = Prune.target(new Holder(Tensors.of(weight, shape)), "weight");
            if (random.nextBoolean()) {
                Amount before = amount(random, mask.length);
                prunedEntries(weight, mask, before);
                Prune.apply(target.module(), "weight", new L1Unstructured(before));
            }
            if (random.nextInt(3) == 0) {
                weight = weights(random, weight.length);
                scores.put(target, Tensors.of(weight, shape));
            }
            targets.add(target);
            masks.add(mask);
            importance.add(weight);
        }
        float[] together = joined(masks);
        Amount amount = amount(random, count(together));
        prunedEntries(joined(importance), together, amount);

        Prune.globalUnstructured(targets, new L1Unstructured(amount), scores);

        assertArrayEquals(
                together, joined(targets.stream().map(target -> mask(target.module())).toList()));
    }

    // ---- the rules

    /** Of what is still kept, the entries of smallest magnitude go, of equal ones the first. */
    private static void prunedEntries(float[] scores, float[] mask, Amount amount) {
        IntStream.range(0, mask.length)
                .filter(i -> mask[i] == 1)
                .boxed()
                .sorted(Comparator.comparingDouble(i -> Math.abs(scores[i])))
                .limit(howMany(amount, count(mask)))
                .forEach(i -> mask[i] = 0);
    }

    /** Of the channels that still keep something, those of smallest norm go. */
    private static void prunedChannels(
            float[] weight, float[] mask, long[] shape, int dim, double n, Amount amount) {
        List<Integer> alive = channels(mask, shape, dim);
        ToDoubleFunction<Integer> norm =
                channel -> norm(product(weight, mask), shape, dim, channel, n);
        alive.stream()
                .sorted(Comparator.comparingDouble(norm))
                .limit(howMany(amount, alive.size()))
                .forEach(channel -> {
                    for (int i = 0; i < mask.length; i++) {
                        mask[i] = channel(i, shape, dim) == channel ? 0 : mask[i];
                    }
                });
    }

    private static List<Integer> channels(float[] mask, long[] shape, int dim) {
        return IntStream.range(0, (int) shape[dim])
                .filter(channel ->
                        IntStream.range(0, mask.length)
                                .anyMatch(i -> mask[i] == 1 && channel(i, shape, dim) == channel))
                .boxed()
                .toList();
    }

    private static double norm(float[] values, long[] shape, int dim, int channel, double n) {
        double[] magnitudes =
                IntStream.range(0, values.length)
                        .filter(i -> channel(i, shape, dim) == channel)
                        .mapToDouble(i -> Math.abs(values[i]))
                        .toArray();
        if (Double.isInfinite(n)) {
            return n > 0
                    ? Arrays.stream(magnitudes).max().orElseThrow()
                    : Arrays.stream(magnitudes).min().orElseThrow();
        }
        // Norms as float, so that what PyTorch takes for a tie is one here.
        return (float) Math.pow(Arrays.stream(magnitudes).map(m -> Math.pow(m, n)).sum(), 1 / n);
    }

    /** Which index along {@code dim} the flat position {@code i} has. */
    private static int channel(int i, long[] shape, int dim) {
        long stride = 1;
        for (int d = dim + 1; d < shape.length; d++) {
            stride *= shape[d];
        }
        return (int) (i / stride % shape[dim]);
    }

    private static long howMany(Amount amount, int size) {
        return switch (amount) {
            case Amount.Count(long count) -> count;
            case Amount.Share(double share) -> {
                double exact = share * size;
                long below = (long) Math.floor(exact);
                double rest = exact - below;
                yield rest > 0.5 || (rest == 0.5 && below % 2 == 1) ? below + 1 : below;
            }
        };
    }

    // ---- random cases

    private static long[] shape(Random random, int leastDims) {
        return random.longs(random.nextInt(leastDims, 5), 1, 6).toArray();
    }

    private static int size(long[] shape) {
        return (int) Arrays.stream(shape).reduce(1, (a, b) -> a * b);
    }

    /** Whole numbers of a small range, so that many magnitudes are equal. */
    private static float[] weights(Random random, int count) {
        float[] weights = new float[count];
        for (int i = 0; i < count; i++) {
            weights[i] = random.nextInt(-9, 10);
        }
        return weights;
    }

    private static Amount amount(Random random, int most) {
        return switch (random.nextInt(3)) {
            case 0 -> Amount.count(random.nextInt(most + 1));
            case 1 -> Amount.share(random.nextInt(9) / 8.0);
            default -> Amount.share(random.nextDouble());
        };
    }

    // ---- arrays

    private static float[] mask(Module module) {
        return Tensors.floats(module.buffer("weight_mask"));
    }

    private static int count(float[] mask) {
        return (int) IntStream.range(0, mask.length).filter(i -> mask[i] == 1).count();
    }

    private static float[] product(float[] weight, float[] mask) {
        float[] product = new float[weight.length];
        for (int i = 0; i < product.length; i++) {
            product[i] = weight[i] * mask[i];
        }
        return product;
    }

    private static float[] joined(List<float[]> parts) {
        float[] all = new float[parts.stream().mapToInt(part -> part.length).sum()];
        int at = 0;
        for (float[] part : parts) {
            System.arraycopy(part, 0, all, at, part.length);
            at += part.length;
        }
        return all;
    }
}
