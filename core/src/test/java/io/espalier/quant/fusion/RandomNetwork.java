package io.espalier.quant.fusion;

import io.espalier.nn.BatchNorm2d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Functional;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU;
import io.espalier.nn.Softmax;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/**
 * A seeded random network over [N, 4, H, W] that ends in small probabilities: layers, one after the
 * other and on branches, with sums, activations in code, layers called twice, subclasses and hooks
 * between. Its steps can be asked what really feeds what.
 */
public final class RandomNetwork extends Module {
    private static final int CHANNELS = 4;
    private static final int CLASSES = 50;

    private final List<Step> steps = new ArrayList<>();
    private final Linear head = add("head", new Linear(CHANNELS, CLASSES));
    private final Softmax softmax = add("softmax", new Softmax(1));

    /** What a step does with the values before it. */
    public enum Kind {
        /** Calls a module. */
        LAYER,
        /** max(x, 0) in code. */
        RELU,
        /** A sum in recorded code. */
        SUM,
        /** A sum in code that no trace sees. */
        OWN_SUM,
        /** A product in code that no trace sees, with small values. */
        OWN_PRODUCT
    }

    /**
     * One step; its result is the next value.
     *
     * @param layer the name of the module that it calls, or empty
     * @param inputs the numbers of the values that it reads; 0 is the input
     */
    public record Step(Kind kind, String layer, List<Integer> inputs) {
        Step(Kind kind, String layer, Integer... inputs) {
            this(kind, layer, List.of(inputs));
        }

        boolean reads(int value) {
            return inputs.contains(value);
        }
    }

    /** A convolution that computes something else than its class says. */
    private static final class Doubled extends Conv2d {
        Doubled() {
            super(CHANNELS, CHANNELS, 3, o -> o.padding(1));
        }

        @Override
        protected Tensor forward(Tensor x) {
            return Functional.mul(super.forward(x), 2);
        }
    }

    /**
     * A network.
     *
     * @param traceable whether all of its code can be traced
     */
    public RandomNetwork(long seed, boolean traceable) {
        var random = new Random(seed);
        int length = 6 + random.nextInt(10);
        for (int i = 0; i < length; i++) {
            steps.add(step(random, traceable));
        }
        for (int value = 1; value < length; value++) {
            int unread = value;
            if (steps.stream().noneMatch(step -> step.reads(unread))) {
                steps.add(new Step(Kind.SUM, "", steps.size(), value));
            }
        }
    }

    private Step step(Random random, boolean traceable) {
        int last = steps.size();
        int from = random.nextInt(5) == 0 ? random.nextInt(last + 1) : last;
        int other = random.nextInt(last + 1);
        return switch (random.nextInt(12)) {
            case 0 -> new Step(Kind.RELU, "", from);
            case 1 -> new Step(Kind.SUM, "", from, other);
            case 2 -> new Step(traceable ? Kind.SUM : Kind.OWN_SUM, "", from, other);
            case 3 -> new Step(traceable ? Kind.RELU : Kind.OWN_PRODUCT, "", from);
            case 4 -> new Step(Kind.LAYER, again(random), from);
            case 5 -> layer(new Doubled(), from);
            // With the usual eps a channel of one value alone magnifies rounding 300 times.
            case 6, 7 -> layer(new BatchNorm2d(CHANNELS, o -> o.eps(0.1)), from);
            case 8, 9 -> layer(random.nextInt(8) == 0 ? hooked(new ReLU()) : new ReLU(), from);
            default -> {
                var conv = new Conv2d(CHANNELS, CHANNELS, 3, o -> o.padding(1));
                yield layer(random.nextInt(6) == 0 ? hooked(conv) : conv, from);
            }
        };
    }

    private static Module hooked(Module module) {
        module.onOutput((self, tensors) ->
                tensors.stream().map(tensor -> Functional.mul(tensor, 0.5)).toList());
        return module;
    }

    private Step layer(Module module, int from) {
        String name = "layer" + namedChildren().size();
        add(name, module);
        return new Step(Kind.LAYER, name, from);
    }

    private String again(Random random) {
        List<String> layers = layers();
        return layers.isEmpty() ? "softmax" : layers.get(random.nextInt(layers.size()));
    }

    /** The names of the layers that it calls, each once. */
    public List<String> layers() {
        return steps.stream()
                .filter(step -> step.kind == Kind.LAYER)
                .map(Step::layer)
                .distinct()
                .toList();
    }

    @Override
    protected Tensor forward(Tensor x) {
        List<Tensor> values = new ArrayList<>(List.of(x));
        for (Step step : steps) {
            Tensor first = values.get(step.inputs.getFirst());
            Tensor second = values.get(step.inputs.getLast());
            values.add(
                    switch (step.kind) {
                        case LAYER -> module(step.layer).call(first);
                        case RELU -> Functional.relu(first);
                        case SUM -> Functional.add(first, second);
                        case OWN_SUM -> first.add(second);
                        case OWN_PRODUCT -> first.sub(first.mul(first).mul(new Scalar(0.05)));
                    });
        }
        Tensor pooled = Functional.mean(values.getLast(), new long[] {2, 3}, false);
        return softmax.call(head.call(pooled));
    }

    /**
     * Whether a layer is called once, and all that its result is used for is one call of another.
     */
    public boolean feedsOnly(String layer, String next) {
        List<Integer> calls = callsOf(layer);
        if (calls.size() != 1 || callsOf(next).size() != 1) {
            return false;
        }
        int value = calls.getFirst() + 1;
        List<Step> readers = readersOf(value);
        return value < steps.size()
                && readers.size() == 1
                && readers.getFirst().layer.equals(next)
                && readers.getFirst().kind == Kind.LAYER;
    }

    /**
     * Whether all that a layer's result is used for is one call of another, itself or after ReLUs.
     */
    public boolean feedsThroughReLU(String layer, String next) {
        List<Integer> calls = callsOf(layer);
        int value = calls.size() == 1 ? calls.getFirst() + 1 : steps.size();
        while (value < steps.size()) {
            List<Step> readers = readersOf(value);
            if (readers.size() != 1) {
                return false;
            }
            Step reader = readers.getFirst();
            if (reader.layer.equals(next)) {
                return callsOf(next).size() == 1;
            }
            boolean relu =
                    reader.kind == Kind.RELU
                            || (reader.kind == Kind.LAYER && module(reader.layer) instanceof ReLU);
            if (!relu) {
                return false;
            }
            value = steps.indexOf(reader) + 1;
        }
        return false;
    }

    private List<Step> readersOf(int value) {
        return steps.stream().filter(step -> step.reads(value)).toList();
    }

    private List<Integer> callsOf(String layer) {
        List<Integer> calls = new ArrayList<>();
        for (int i = 0; i < steps.size(); i++) {
            if (steps.get(i).kind == Kind.LAYER && steps.get(i).layer.equals(layer)) {
                calls.add(i);
            }
        }
        return calls;
    }

    /** The pairs of layers of which the second is all that the first feeds. */
    public List<List<String>> pairs() {
        List<List<String>> pairs = new ArrayList<>();
        for (String one : layers()) {
            for (String other : layers()) {
                if (feedsOnly(one, other)) {
                    pairs.add(List.of(one, other));
                }
            }
        }
        return pairs;
    }
}
