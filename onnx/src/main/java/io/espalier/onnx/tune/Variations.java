package io.espalier.onnx.tune;

import io.espalier.onnx.compare.Padding;
import io.espalier.onnx.fit.UnseenRows;
import io.espalier.onnx.inputs.InputBatches;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.random.RandomGenerator;

/**
 * Inputs like those that there are, each time others: a teacher says what is right of any input, so
 * that few examples teach more than themselves (Beyer et al., <a
 * href="https://arxiv.org/abs/2106.05237">Knowledge distillation: A good teacher is patient and
 * consistent</a>, 2022).
 *
 * <p>Real numbers are mixed with those of another example (mixup: Zhang et al., <a
 * href="https://arxiv.org/abs/1710.09412">2018</a>) or go on with its second part (as CutMix: Yun
 * et al., <a href="https://arxiv.org/abs/1905.04899">2019</a>), get another contrast and
 * brightness, and images are moved, stretched and slanted a little. Integers, such as words, change
 * places with those of another example, and some become rows of their table that the data doesn't
 * read.
 */
final class Variations {
    /** The share of batches that stay as they are. */
    private static final double PLAIN = 0.5;

    /** The most that is taken of another example where two are mixed; the other one is then it. */
    private static final double MOST_OF_OTHER = 0.5;

    private static final double CONTRAST = 0.2;
    private static final double STRETCHED = 0.1;
    private static final double MOVED = 0.05;

    private final List<Map<String, Tensor>> batches;
    private final UnseenRows unseen;
    private final long seed;

    /** The same for the same seed. */
    Variations(List<Map<String, Tensor>> batches, UnseenRows unseen, long seed) {
        this.batches = batches;
        this.unseen = unseen;
        this.seed = seed;
    }

    /** What becomes of two examples. */
    private enum Way {
        MIXED,
        JOINED,
        ALONE
    }

    /**
     * A batch like one of the data, of this scope.
     *
     * @param number of the batch
     * @param drawn how many were drawn before
     */
    Map<String, Tensor> of(int number, long drawn) {
        RandomGenerator random = random(drawn);
        return random.nextDouble() < PLAIN ? batches.get(number) : varied(number, random);
    }

    private RandomGenerator random(long drawn) {
        return new SplittableRandom(new SplittableRandom(seed + drawn).nextLong());
    }

    private Map<String, Tensor> varied(int number, RandomGenerator random) {
        Map<String, Tensor> batch = batches.get(number);
        Map<String, Tensor> others = others(batch, random);
        Map<String, Tensor> varied =
                batch.values().stream().anyMatch(Tensor::is_floating_point)
                        ? numbers(batch, others, random)
                        : exchanged(batch, others, random);
        return unseen.in(varied, random.nextDouble(), random);
    }

    /**
     * Batches from all over the data, varied otherwise than any that {@link #of} gives: what tells
     * whether others are learned, too. They are the caller's, who frees them.
     *
     * @param enough about as many examples, where there are so many
     */
    List<Map<String, Tensor>> apart(int enough) {
        long each = Math.max(1, InputBatches.examples(batches.getFirst()));
        int count = (int) Math.min(batches.size(), Math.ceilDiv(enough, each));
        List<Map<String, Tensor>> apart = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            int number = (int) ((long) i * batches.size() / count);
            try (var scope = new PointerScope()) {
                var kept = new LinkedHashMap<String, Tensor>();
                varied(number, random(-1 - i))
                        .forEach((name, tensor) -> kept.put(name, Tensors.keep(tensor.clone())));
                apart.add(kept);
            }
        }
        return apart;
    }

    /** Other examples, as many; those of the batch itself where no other is like it. */
    private Map<String, Tensor> others(Map<String, Tensor> batch, RandomGenerator random) {
        Map<String, Tensor> drawn = batches.get(random.nextInt(batches.size()));
        Map<String, Tensor> others = areAlike(batch, drawn) ? drawn : batch;
        long examples = InputBatches.examples(batch);
        long[] by = {examples < 2 ? 0 : 1 + random.nextLong(examples - 1)};
        var rolled = new LinkedHashMap<String, Tensor>();
        others.forEach((name, tensor) ->
                rolled.put(name, tensor.dim() == 0 ? tensor : torch.roll(tensor, by, 0L)));
        return rolled;
    }

    private static boolean areAlike(Map<String, Tensor> one, Map<String, Tensor> other) {
        return one.entrySet().stream()
                .allMatch(input -> isAs(input.getValue(), other.get(input.getKey())));
    }

    private static boolean isAs(Tensor one, @Nullable Tensor other) {
        return other != null && Arrays.equals(Tensors.shape(one), Tensors.shape(other));
    }

    private static Map<String, Tensor> numbers(
            Map<String, Tensor> batch, Map<String, Tensor> others, RandomGenerator random) {
        Way way = Way.values()[random.nextInt(Way.values().length)];
        double at = random.nextDouble();
        var varied = new LinkedHashMap<String, Tensor>();
        batch.forEach((name, tensor) -> {
            Tensor other = others.getOrDefault(name, tensor);
            Tensor both = of(tensor, other, way, at);
            varied.put(name, tensor.is_floating_point() ? changed(both, random) : both);
        });
        return varied;
    }

    private static Tensor of(Tensor one, Tensor other, Way way, double at) {
        if (way == Way.MIXED && one.is_floating_point()) {
            return torch.lerp(one, other, new Scalar(MOST_OF_OTHER * at));
        }
        if (way == Way.JOINED && one.dim() >= 3) {
            // Along the width of images [N, C, H, W], and the time of sequences [N, T, F].
            int along = Math.toIntExact(one.dim() == 3 ? 1 : one.dim() - 1);
            long length = one.size(along);
            long cut = (long) (at * length);
            return torch.cat(
                    new TensorVector(
                            one.narrow(along, 0, cut), other.narrow(along, cut, length - cut)),
                    along);
        }
        return one;
    }

    private static Tensor changed(Tensor values, RandomGenerator random) {
        if (values.dim() < 2 || values.numel() == 0) {
            return values;
        }
        long examples = values.size(0);
        long[] shape = new long[Math.toIntExact(values.dim())];
        Arrays.fill(shape, 1);
        shape[0] = examples;
        Tensor numbers = values.to(ScalarType.Float);
        double brightness = CONTRAST * numbers.std(false).item_double();
        Tensor other =
                numbers.mul(drawn(examples, 1 - CONTRAST, 1 + CONTRAST, random).reshape(shape))
                        .add(drawn(examples, -brightness, brightness, random).reshape(shape));
        Tensor moved = values.dim() == 4 && random.nextBoolean() ? moved(other, random) : other;
        return moved.to(Tensors.type(values));
    }

    /** Images [N, C, H, W], each by a map of its own; what comes in from outside is the border. */
    private static Tensor moved(Tensor images, RandomGenerator random) {
        int examples = Math.toIntExact(images.size(0));
        double slant = (double) images.size(2) / images.size(3);
        float[] by = new float[6 * examples];
        for (int i = 0; i < examples; i++) {
            by[6 * i] = about(1, STRETCHED, random);
            by[6 * i + 1] = about(0, MOVED * slant, random);
            by[6 * i + 2] = about(0, MOVED, random);
            by[6 * i + 4] = about(1, STRETCHED, random);
            by[6 * i + 5] = about(0, MOVED, random);
        }
        Tensor places =
                torch.affine_grid_generator(
                        Tensors.of(by, examples, 2, 3), Tensors.shape(images), false);
        return torch.grid_sampler(images, places, 0, 1, false);
    }

    private static float about(double middle, double reach, RandomGenerator random) {
        return (float) (middle + reach * (2 * random.nextDouble() - 1));
    }

    private static Tensor drawn(long count, double from, double to, RandomGenerator random) {
        float[] numbers = new float[Math.toIntExact(count)];
        for (int i = 0; i < numbers.length; i++) {
            numbers[i] = (float) (from + (to - from) * random.nextDouble());
        }
        return Tensors.of(numbers, count);
    }

    /**
     * Positions of two examples change places, in all inputs alike; none that one of them hides.
     */
    private static Map<String, Tensor> exchanged(
            Map<String, Tensor> batch, Map<String, Tensor> others, RandomGenerator random) {
        Tensor first = batch.values().iterator().next();
        if (first.dim() < 2) {
            return batch;
        }
        Tensor exchanged =
                drawn(first.numel(), 0, 1, random)
                        .reshape(Tensors.shape(first))
                        .lt(new Scalar(MOST_OF_OTHER * random.nextDouble()));
        for (Map<String, Tensor> shown : List.of(batch, others)) {
            Tensor mask = shown.get(Padding.MASK);
            exchanged =
                    mask != null && isAs(mask, first)
                            ? exchanged.logical_and(mask.ne(new Scalar(0)))
                            : exchanged;
        }
        Tensor where = exchanged;
        var varied = new LinkedHashMap<String, Tensor>();
        batch.forEach((name, tensor) ->
                varied.put(
                        name,
                        isAs(tensor, where)
                                ? torch.where(where, others.getOrDefault(name, tensor), tensor)
                                : tensor));
        return varied;
    }
}
