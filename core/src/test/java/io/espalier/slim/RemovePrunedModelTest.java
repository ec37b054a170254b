package io.espalier.slim;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.espalier.nn.AdaptiveAvgPool2d;
import io.espalier.nn.BatchNorm2d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Flatten;
import io.espalier.nn.Functional;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.nn.Upsample;
import io.espalier.prune.Prune;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;

/** {@link Slimming#removePruned} leaves results as they are. */
class RemovePrunedModelTest {
    private static double apart(Tensor a, Tensor b) {
        return a.sub(b).abs().max().item_double();
    }

    /** Convolutions with normalizations, then neurons; padded as said. */
    private static Sequential network(long padding) {
        Libtorch.seed(1);
        var model =
                new Sequential(
                        new Conv2d(1, 8, 3, o -> o.padding(padding)),
                        Networks.normalization(8),
                        new ReLU(),
                        new Conv2d(8, 6, 3, o -> o.padding(padding)),
                        new ReLU(),
                        new AdaptiveAvgPool2d(1),
                        new Flatten(),
                        new Linear(6, 5),
                        new ReLU(),
                        new Linear(5, 3));
        model.eval();
        return model;
    }

    @ParameterizedTest
    @EnumSource(Networks.class)
    @DisplayName("channels that all readers multiply by zero go from every network")
    void readByNobody(Networks network) {
        Libtorch.seed(6);
        Module model = network.make();
        Tensor x = network.input();
        ModelSlimmer slimmer = ModelSlimmer.of(model, List.of(x));
        long parameters = slimmer.cost().parameters();
        try (var noGrad = new NoGradGuard()) {
            var random = new Random(2);
            for (Group group : slimmer.groups().independent(Group::isExact)) {
                Cut cut =
                        slimmer.groups()
                                .alone(group.units().get(random.nextInt(group.units().size())));
                slimmer.analysis().ends().stream()
                        .flatMap(end -> Stream.of(end.one(), end.other()))
                        .filter(Objects::nonNull)
                        .filter(side -> side.operand().constant() != null)
                        .forEach(side -> zero(slimmer, side, cut));
            }
            Tensor before = model.call(x);

            SlimResult result = Slimming.removePruned(model, x);

            assertEquals(0, apart(before, model.call(x)), 1e-5);
            assertEquals(true, result.after().parameters() < parameters, result::toString);
        }
    }

    private static void zero(ModelSlimmer slimmer, ModelEnd.Side side, Cut cut) {
        String name = Objects.requireNonNull(side.operand().constant());
        Tensor tensor = slimmer.analysis().tensors().held(name).tensor();
        Axis axis = side.operand().known().axes().get(side.dimension());
        for (int i = 0; i < tensor.size(side.dimension()); i++) {
            if (!cut.isKept(axis, i)) {
                tensor.select(side.dimension(), i).mul_(new Scalar(0));
            }
        }
    }

    /** Channels that are scaled, shifted, turned over, halved and joined again. */
    private static final class Parts extends Module {
        private final Linear into = add("into", new Linear(6, 12));
        private final Linear out = add("out", new Linear(6, 3));

        Parts() {
            addParameter("gamma", Tensors.randn(12));
            addBuffer("shift", Tensors.randn(12));
        }

        @Override
        protected Tensor forward(Tensor x) {
            Tensor h = Functional.mul(into.call(x), value("gamma"));
            h = Functional.relu(Functional.add(h, buffer("shift")));
            Tensor gated = Functional.glu(h, -1);
            List<Tensor> halves = Functional.chunk(h, 2, -1);
            Tensor product = Functional.mul(halves.get(0), halves.get(1));
            return out.call(Functional.add(product, gated));
        }
    }

    @Test
    @DisplayName("numbers of the model's own and parts of channels are followed")
    void followsParts() {
        Libtorch.seed(1);
        var model = new Parts();
        Tensor x = Tensors.randn(4, 6);
        try (var noGrad = new NoGradGuard()) {
            for (String name : List.of("weight", "bias")) {
                for (long channel : new long[] {1, 4, 7, 10}) {
                    model.module("into").parameter(name).select(0, channel).zero_();
                }
            }
            // What is left of them is below zero.
            model.buffer("shift").abs_().neg_();
            Tensor before = model.call(x);

            SlimResult result = Slimming.removePruned(model, x);

            assertEquals(0, apart(before, model.call(x)), 1e-6);
            assertEquals(8, ((Linear) model.module("into")).outFeatures(), result::toString);
            assertEquals(8, model.parameter("gamma").numel());
            assertEquals(4, ((Linear) model.module("out")).inFeatures());
        }
    }

    @Test
    @DisplayName(
            "a channel whose weights are masked becomes part of the bias after it where no border"
                    + " differs")
    void foldsConstants() {
        Sequential model = network(0);
        Prune.lnStructured(model.module("0"), "weight", 0.5, 1, 0);
        Tensor x = Tensors.randn(2, 1, 9, 9);
        Tensor before = model.call(x);

        SlimResult result = Slimming.removePruned(model, x);

        assertEquals(0, apart(before, model.call(x)), 1e-5);
        assertEquals(4, ((Conv2d) model.module("0")).outChannels());
        assertEquals(4, ((BatchNorm2d) model.module("1")).numFeatures());
        assertArrayEquals(
                new long[] {4, 1, 3, 3}, Tensors.shape(model.module("0").buffer("weight_mask")));
        assertEquals(4, result.rows().getFirst().left());
        assertEquals("emptied by pruning", result.rows().getFirst().by());
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    @DisplayName(
            "channels that a normalization multiplies by zero become part of the bias after it")
    void scaledByZero(boolean masked) {
        Sequential model = network(0);
        var norm = (BatchNorm2d) model.module("1");
        if (masked) {
            Prune.customFromMask(norm, "weight", Tensors.of(1, 0, 1, 0, 1, 1, 1, 0));
        } else {
            try (var noGrad = new NoGradGuard()) {
                norm.value("weight").narrow(0, 2, 3).mul_(new Scalar(0));
            }
        }
        Tensor x = Tensors.randn(2, 1, 9, 9);
        Tensor before = model.call(x);

        Slimming.removePruned(model, x);

        assertEquals(0, apart(before, model.call(x)), 1e-5);
        assertEquals(5, ((Conv2d) model.module("0")).outChannels());
    }

    @ParameterizedTest
    @EnumSource(names = {"Double", "Half", "BFloat16"})
    @DisplayName("models of other floats give what they gave, to their own last bits")
    void otherFloats(ScalarType type) {
        Sequential model = network(0);
        Map<ScalarType, Double> rounding =
                Map.of(ScalarType.Double, 1e-14, ScalarType.Half, 4e-3, ScalarType.BFloat16, 3e-2);
        try (var noGrad = new NoGradGuard()) {
            model.namedParameters().values().forEach(p -> p.set_data(p.to(type)));
            model.namedBuffers().values().stream()
                    .filter(Tensor::is_floating_point)
                    .forEach(b -> b.set_data(b.to(type)));
        }
        Prune.lnStructured(model.module("0"), "weight", 0.5, 1, 0);
        Prune.lnStructured(model.module("7"), "weight", 0.4, 1, 0);
        Tensor x = Tensors.randn(2, 1, 9, 9).to(type);
        Tensor before = model.call(x).to(ScalarType.Double);

        Slimming.removePruned(model, x);

        Tensor after = model.call(x);
        assertEquals(type, Tensors.type(after));
        assertEquals(0, apart(before, after), rounding.getOrDefault(type, 0.0));
        assertEquals(4, ((Conv2d) model.module("0")).outChannels());
        assertEquals(3, ((Linear) model.module("7")).outFeatures());
    }

    /** Convolutions of single places, and something between them. */
    private static final class Between extends Module {
        private final Conv2d first = add("first", new Conv2d(3, 6, 1));
        private final Conv2d last = add("last", new Conv2d(6, 4, 1));
        private final UnaryOperator<Tensor> middle;

        Between(UnaryOperator<Tensor> middle) {
            this.middle = middle;
        }

        @Override
        protected Tensor forward(Tensor x) {
            return last.call(middle.apply(first.call(x)));
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"amax", "sum", "norm", "upsampled", "padded"})
    @DisplayName("channels that are zero go through reductions, interpolation and padding")
    void goesThrough(String name) {
        Libtorch.seed(8);
        long[] places = {2, 3};
        var model =
                new Between(
                        switch (name) {
                            case "amax" -> x -> Functional.amax(x, places, true);
                            case "sum" -> x -> Functional.sum(x, places, true);
                            case "norm" -> x -> Functional.norm(x, 2, places, true);
                            case "upsampled" ->
                                    x ->
                                            Functional.interpolate(
                                                    x,
                                                    new long[] {12, 12},
                                                    new double[0],
                                                    Upsample.Mode.BILINEAR,
                                                    false);
                            default -> x -> Functional.pad(x, new long[] {1, 1, 1, 1}, 0);
                        });
        model.eval();
        try (var noGrad = new NoGradGuard()) {
            for (String part : new String[] {"weight", "bias"}) {
                model.first.value(part).narrow(0, 1, 3).mul_(new Scalar(0));
            }
        }
        Tensor x = Tensors.randn(2, 3, 6, 6);
        Tensor before = model.call(x);

        Slimming.removePruned(model, x);

        assertEquals(0, apart(before, model.call(x)), 1e-5);
        assertEquals(3, model.first.outChannels());
    }

    @Test
    @DisplayName("a constant channel before a padded convolution stays, and one that is zero goes")
    void keepsBorders() {
        Sequential model = network(1);
        Tensor x = Tensors.randn(2, 1, 9, 9);
        var norm = (BatchNorm2d) model.module("1");
        try (var noGrad = new NoGradGuard()) {
            for (int channel : new int[] {1, 4}) {
                ((Conv2d) model.module("0")).weight().select(0, channel).mul_(new Scalar(0));
                norm.value("weight").select(0, channel).fill_(new Scalar(0));
                norm.value("bias").select(0, channel).fill_(new Scalar(channel == 1 ? 0.5 : -0.5));
            }
        }
        Tensor before = model.call(x);

        Slimming.removePruned(model, x);

        assertEquals(0, apart(before, model.call(x)), 1e-5);
        assertEquals(7, norm.numFeatures());
    }

    @Test
    @DisplayName("what removed channels alone were computed from goes too, and something stays")
    void chains() {
        Sequential model = network(0);
        Tensor x = Tensors.randn(2, 1, 9, 9);
        try (var noGrad = new NoGradGuard()) {
            ((Linear) model.module("9")).weight().narrow(1, 0, 5).mul_(new Scalar(0));
        }
        Tensor before = model.call(x);

        Slimming.removePruned(model, x);

        assertEquals(0, apart(before, model.call(x)), 1e-5);
        assertEquals(1, ((Linear) model.module("7")).outFeatures());
    }

    @Test
    @DisplayName("a model of which nothing is empty stays as it is")
    void nothing() {
        Sequential model = network(0);
        Tensor x = Tensors.randn(2, 1, 9, 9);

        SlimResult result = Slimming.removePruned(model, x);

        assertEquals(result.before(), result.after());
        assertEquals("not empty", result.rows().getFirst().by());
    }
}
