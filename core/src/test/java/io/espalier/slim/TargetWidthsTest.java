package io.espalier.slim;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.Functional;
import io.espalier.nn.LayerNorm;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.nn.Tanh;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;
import io.espalier.train.Optimizers;

import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Optimizer;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;

@DisplayName("A Java model slimmed to a target")
class TargetWidthsTest {
    private Sequential model;
    private Tensor rows;

    /** A first layer whose outputs are all alike, and a second whose outputs all matter. */
    @BeforeEach
    void halfRedundant() {
        Libtorch.seed(5);
        var alike = new Linear(8, 48);
        model =
                new Sequential(
                        alike, new ReLU(), new Linear(48, 48), new Tanh(), new Linear(48, 32));
        model.eval();
        rows = Tensors.randn(64, 8);
        try (var noGrad = new NoGradGuard()) {
            alike.parameter("bias").zero_();
            for (int unit = 1; unit < 48; unit++) {
                alike.weight()
                        .select(0, unit)
                        .copy_(alike.weight().select(0, 0).mul(new Scalar(1.0 + unit % 7)));
            }
        }
    }

    private Slimming slimming() {
        return Slimming.of(model, rows);
    }

    private ChannelImportance secondOrder() {
        return ChannelImportance.secondOrder(List.of(rows));
    }

    @ParameterizedTest
    @EnumSource
    @DisplayName("costs at any widths what was foreseen")
    void foresees(Networks network) {
        Libtorch.seed(3);
        Module made = network.make();
        ModelSlimmer slimmer = ModelSlimmer.of(made, List.of(network.input()));
        List<Group> groups = slimmer.groups().independent(group -> true);
        var random = new Random(4);
        int[] widths =
                groups.stream()
                        .mapToInt(group -> 1 + random.nextInt(group.units().size()))
                        .toArray();
        var blocks = LeftOutModules.none(slimmer.analysis(), groups);
        var costs = new ModelCosts(slimmer, groups, blocks);
        long bytes = costs.heldBytes();

        double macs = costs.macs().of(widths);
        double parameters = costs.parameters().of(widths);
        double left = costs.bytes().of(widths);

        slimmer.narrowed(
                groups,
                blocks,
                widths,
                () -> {
                    SlimResult.Cost now =
                            TracedModel.of(made, slimmer.example()).cost(slimmer.example());
                    assertEquals(now.parameters(), parameters, 0.5);
                    // Products within an attention count as its projections do.
                    double off = network == Networks.ENCODER ? 0.06 : 1e-6;
                    assertEquals(now.macs(), macs, off * now.macs());
                    assertEquals(costs.heldBytes(), left, 0.5);
                    return now;
                });
        assertEquals(bytes, costs.heldBytes());
    }

    @Test
    @DisplayName("has the share of multiplications asked for, and lost where least is lost")
    void meetsMacs() {
        Tensor wanted = model.call(rows).detach().clone();

        SlimResult result = slimming().macs(0.6).importance(secondOrder()).run();

        assertEquals(0.6, (double) result.after().macs() / result.before().macs(), 0.05);
        SlimResult.Row first = result.rows().get(0);
        assertTrue(first.left() < 32, result::toString);
        assertEquals(48, result.rows().get(1).left());
        assertEquals("MACs", result.unit());
        GroupCost cost = first.spent().orElseThrow();
        assertEquals(64 * 48 * (8 + 48), cost.before(), 1e-3);
        assertEquals(64 * first.left() * (8 + 48), cost.after(), 1e-3);
        assertTrue(result.toString().contains("MACs  error 0.0"), result::toString);
        assertEquals(0, model.call(rows).sub(wanted).abs().max().item_double(), 0.02);
    }

    /** A stream that is normalized, and read by its own first weight at the end. */
    private static final class Tied extends Module {
        final Linear in = add("in", new Linear(16, 32));
        final LayerNorm norm = add("norm", new LayerNorm(32));
        final Linear wide = add("wide", new Linear(32, 64));
        final Linear back = add("back", new Linear(64, 32));

        @Override
        protected Tensor forward(Tensor x) {
            Tensor stream = norm.call(in.call(x));
            stream = Functional.add(stream, back.call(Functional.relu(wide.call(stream))));
            return Functional.matmul(stream, in.value("weight"));
        }
    }

    @Test
    @DisplayName("foresees what normalizations lose, and layers that can't be weighed")
    void foreseesStreams() {
        var tied = new Tied();
        tied.eval();
        try (var noGrad = new NoGradGuard()) {
            tied.wide.weight().mul_(new Scalar(0.01));
        }
        Tensor examples = Tensors.randn(256, 16);
        Tensor wanted = tied.call(examples).detach().clone().flatten();

        SlimResult result =
                Slimming.of(tied, examples)
                        .only("in")
                        .macs(0.8)
                        .importance(ChannelImportance.secondOrder(List.of(examples)))
                        .run();

        Tensor found = tied.call(examples).detach().flatten();
        double drop = 1 - wanted.dot(found).div(wanted.norm().mul(found.norm())).item_double();
        double foreseen = result.rows().getFirst().spent().orElseThrow().error();
        assertTrue(drop > 0.01, () -> "lost only " + drop);
        assertTrue(foreseen > drop / 4, () -> drop + " was lost; foreseen: " + result);
    }

    @Test
    @DisplayName("keeps what is alive of a group of which more than a quarter is dead")
    void tellsDeadFromAlive() {
        var dead = new Linear(32, 64);
        var half =
                new Sequential(dead, new ReLU(), new Linear(64, 64), new ReLU(), new Linear(64, 8));
        half.eval();
        try (var noGrad = new NoGradGuard()) {
            dead.parameter("bias").narrow(0, 32, 32).fill_(new Scalar(-50.0));
        }
        Tensor examples = Tensors.randn(512, 32);
        Tensor others = Tensors.randn(512, 32);
        Tensor wanted = half.call(others).detach().clone().flatten();

        SlimResult result =
                Slimming.of(half, examples)
                        .parameters(0.6)
                        .importance(ChannelImportance.secondOrder(List.of(examples)))
                        .run();

        Tensor found = half.call(others).detach().flatten();
        double drop = 1 - wanted.dot(found).div(wanted.norm().mul(found.norm())).item_double();
        assertTrue(drop < 0.02, () -> "lost " + drop + ": " + result);
    }

    @Test
    @DisplayName("has the share of parameters or bytes asked for, and the optimizer follows")
    void meetsSizes() {
        Optimizer adam = Optimizers.adam(model.parameters(), 1e-3);
        model.call(rows).square().sum().backward();
        adam.step();

        SlimResult result = slimming().parameters(0.5).optimizer(adam).run();
        SlimResult bytes = slimming().bytes(0.8).run();

        assertEquals(
                0.5, (double) result.after().parameters() / result.before().parameters(), 0.05);
        assertEquals(0.8, (double) bytes.after().parameters() / bytes.before().parameters(), 0.05);
        model.call(rows).square().sum().backward();
    }

    @Test
    @DisplayName("is as far off as it may be, and no further")
    void keepsToDrop() {
        try (var results = new ModelResults(model, List.of(rows), 64)) {
            SlimResult result = slimming().maxDrop(0.02).importance(secondOrder()).run();

            double drop = results.drop();
            assertTrue(drop <= 0.02, () -> drop + " " + result);
            assertTrue(result.after().macs() < result.before().macs(), result::toString);
        }
    }

    @Test
    @DisplayName("is timed, step by step and as a whole")
    void isTimed() {
        SlimResult result = slimming().speedup(1).run();

        assertEquals("ms", result.unit());
        assertTrue(
                result.rows().stream().allMatch(row -> row.spent().orElseThrow().before() > 0),
                result::toString);
    }

    @Test
    @DisplayName("is as it was where the target is out of reach or makes no sense")
    @SuppressWarnings("StreamToIterable") // What is refused.
    void refuses() {
        Map<String, float[]> before = SlimmingTest.state(model);
        var slimming = slimming().macs(0.01).importance(secondOrder());

        String words =
                String.valueOf(assertThrows(EspalierException.class, slimming::run).getMessage());
        assertTrue(
                words.matches(
                        "0.010 of the MACs can't be reached: at the narrowest that widths are"
                                + " chosen 0.... stay; a ratio may take more."),
                words);
        Map<String, float[]> after = SlimmingTest.state(model);
        assertEquals(before.keySet(), after.keySet());
        before.forEach((name, values) -> assertArrayEquals(values, after.get(name), name));

        var blind = slimming().maxDrop(0.01);
        assertThrows(EspalierException.class, blind::run);
        for (double wrong : new double[] {0, -1, 2, Double.NaN}) {
            assertThrows(EspalierException.class, () -> slimming().macs(wrong));
        }
        Iterator<Tensor> once = List.of(rows).iterator();
        Stream<Tensor> stream = Stream.of(rows);
        for (Iterable<Tensor> fleeting : List.<Iterable<Tensor>>of(() -> once, stream::iterator)) {
            assertRefused(
                    slimming().importance(ChannelImportance.secondOrder(fleeting)), "once only");
        }
        var two = new TwoInputs();
        assertRefused(
                Slimming.of(two, rows, rows).macs(0.5).importance(secondOrder()), "called with 2");

        assertThrows(EspalierException.class, () -> slimming().speedup(0.5));
        assertThrows(EspalierException.class, () -> slimming().maxDrop(1));
    }

    private static void assertRefused(Slimming slimming, String why) {
        String words =
                String.valueOf(assertThrows(EspalierException.class, slimming::run).getMessage());
        assertTrue(words.contains(why), words);
    }

    /** The sum of what two layers give. */
    private static final class TwoInputs extends Module {
        private final Linear one = add("one", new Linear(8, 16));
        private final Linear other = add("other", new Linear(8, 16));
        private final Linear out = add("out", new Linear(16, 4));

        @Override
        protected List<Tensor> forwardAll(List<Tensor> inputs) {
            Tensor sum = Functional.add(one.call(inputs.get(0)), other.call(inputs.get(1)));
            return List.of(out.call(Functional.relu(sum)));
        }
    }
}
