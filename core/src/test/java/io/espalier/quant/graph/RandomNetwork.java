package io.espalier.quant.graph;

import io.espalier.nn.BatchNorm2d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.ConvTranspose2d;
import io.espalier.nn.Functional;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.BinaryOperator;
import java.util.function.UnaryOperator;

/**
 * A network drawn at random: convolutions, normalizations, sums of anything with anything, joined
 * channels, activations, pools, reshaping, layers that are called again, one or two results. Its
 * input is [2, 4, 8, 8], and any step may take it.
 */
final class RandomNetwork extends Module {
    private static final long CHANNELS = 4;
    private static final long SIDE = 8;

    private static final List<UnaryOperator<Tensor>> ACTIVATIONS =
            List.of(
                    Functional::relu,
                    Functional::relu6,
                    Functional::hardswish,
                    Functional::silu,
                    Functional::tanh,
                    x -> Functional.mul(x, Functional.sigmoid(x)));

    private static final List<UnaryOperator<Tensor>> MOVES =
            List.of(
                    x -> Functional.transpose(x, 2, 3),
                    x -> Functional.reshape(Functional.flatten(x, 1, -1), -1, 4, 8, 8),
                    x ->
                            Functional.maxPool2d(
                                    x,
                                    new long[] {3, 3},
                                    new long[] {1, 1},
                                    new long[] {1, 1},
                                    new long[] {1, 1},
                                    false),
                    x -> Functional.permute(Functional.permute(x, 0, 2, 3, 1), 0, 3, 1, 2));

    private static final List<BinaryOperator<Tensor>> PAIRS =
            List.of(
                    Functional::add,
                    Functional::add,
                    (a, b) -> Functional.add(b, a),
                    (a, b) -> Functional.relu(Functional.add(a, b)),
                    (a, b) -> Functional.add(a, Functional.adaptiveAvgPool2d(b, 1, 1)),
                    Functional::mul,
                    (a, b) -> Functional.sub(a, b));

    /** A step: which values it takes, and what it computes of them. */
    private record Step(int first, int second, BinaryOperator<Tensor> function) {}

    private final List<Step> steps = new ArrayList<>();
    private final boolean returnsTwo;
    private final Linear head;

    RandomNetwork(long seed) {
        var random = new Random(seed);
        int number = 4 + random.nextInt(8);
        for (int i = 0; i < number; i++) {
            int first = random.nextInt(3) == 0 ? random.nextInt(i + 1) : i;
            steps.add(new Step(first, random.nextInt(i + 1), function(random, "step" + i)));
        }
        head = add("head", new Linear(CHANNELS * SIDE * SIDE, 5));
        returnsTwo = random.nextInt(3) == 0;
    }

    static Tensor input() {
        return Tensors.randn(2, CHANNELS, SIDE, SIDE);
    }

    private BinaryOperator<Tensor> function(Random random, String name) {
        return switch (random.nextInt(8)) {
            case 0, 1, 2 -> {
                Module layer = add(name, layer(random));
                boolean normalizes = random.nextBoolean();
                BatchNorm2d norm =
                        normalizes ? add(name + "_norm", new BatchNorm2d(CHANNELS)) : null;
                boolean adds = random.nextBoolean();
                boolean activates = random.nextBoolean();
                UnaryOperator<Tensor> activation = one(ACTIVATIONS, random);
                yield (a, b) -> {
                    Tensor y = layer.call(a);
                    y = norm == null ? y : norm.call(y);
                    y = adds ? Functional.add(y, b) : y;
                    return activates ? activation.apply(y) : y;
                };
            }
            case 3 -> {
                Module layer = add(name, layer(random));
                yield (a, b) -> Functional.add(layer.call(a), layer.call(b));
            }
            case 4 -> {
                UnaryOperator<Tensor> activation = one(ACTIVATIONS, random);
                yield (a, b) -> activation.apply(a);
            }
            case 5 -> {
                UnaryOperator<Tensor> move = one(MOVES, random);
                yield (a, b) -> move.apply(a);
            }
            case 6 -> {
                Conv2d joins = add(name, new Conv2d(2 * CHANNELS, CHANNELS, 1));
                yield (a, b) -> joins.call(Functional.cat(List.of(a, b), 1));
            }
            default -> one(PAIRS, random);
        };
    }

    private static Module layer(Random random) {
        return switch (random.nextInt(4)) {
            case 0 -> new Conv2d(CHANNELS, CHANNELS, 1);
            case 1 -> new Conv2d(CHANNELS, CHANNELS, 3, o -> o.padding(1).groups(CHANNELS));
            case 2 -> new ConvTranspose2d(CHANNELS, CHANNELS, 3, o -> o.padding(1));
            default -> new Conv2d(CHANNELS, CHANNELS, 3, o -> o.padding(1));
        };
    }

    private static <T> T one(List<T> all, Random random) {
        return all.get(random.nextInt(all.size()));
    }

    @Override
    protected List<Tensor> forwardAll(List<Tensor> inputs) {
        List<Tensor> values = new ArrayList<>(inputs);
        for (Step step : steps) {
            values.add(step.function().apply(values.get(step.first()), values.get(step.second())));
        }
        Tensor last = values.getLast();
        Tensor result = head.call(Functional.flatten(last, 1, -1));
        return returnsTwo ? List.of(result, values.get(values.size() / 2)) : List.of(result);
    }

    /** The parts, for messages. */
    Map<String, Module> parts() {
        return namedChildren();
    }
}
