package io.espalier.slim;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.BatchNorm2d;
import io.espalier.nn.Constant;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Dropout;
import io.espalier.nn.Functional;
import io.espalier.nn.Identity;
import io.espalier.nn.LSTM;
import io.espalier.nn.LayerNorm;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.MultiheadAttention;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
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

import java.util.Arrays;
import java.util.List;
import java.util.Map;

@DisplayName("Residual blocks of a Java model")
class ModelBlocksTest {
    @BeforeEach
    void seed() {
        Libtorch.seed(7);
    }

    /** As ResNets have it: one activation for both sums, layers in fields of their classes. */
    private static final class Basic extends Module {
        private final Conv2d conv1 = add("conv1", new Conv2d(16, 24, 3, o -> o.padding(1)));
        private final BatchNorm2d bn1 = add("bn1", Networks.normalization(24));
        private final ReLU relu = add("relu", new ReLU());
        private final Conv2d conv2 = add("conv2", new Conv2d(24, 16, 3, o -> o.padding(1)));
        private final BatchNorm2d bn2 = add("bn2", Networks.normalization(16));

        @Override
        protected Tensor forward(Tensor x) {
            Tensor out = relu.call(bn1.call(conv1.call(x)));
            return relu.call(Functional.add(bn2.call(conv2.call(out)), x));
        }
    }

    /** What is given, and what a module makes of it. */
    private static final class Residual extends Module {
        private final Module inner;

        Residual(Module inner) {
            this.inner = add("inner", inner);
        }

        @Override
        protected Tensor forward(Tensor x) {
            return Functional.add(x, inner.call(x));
        }
    }

    private static Sequential convolutions() {
        return new Sequential(
                new Conv2d(3, 16, 3, o -> o.padding(1)),
                new Basic(),
                new Basic(),
                new Residual(
                        new Sequential(new Conv2d(16, 20, 1), new ReLU(), new Conv2d(20, 16, 1))),
                new Conv2d(16, 5, 1));
    }

    /** Attention and feed-forward, each normalized before, the second one scaled afterwards. */
    private static final class Encoder extends Module {
        private final Linear into = add("into", new Linear(8, 16));
        private final LayerNorm norm1 = add("norm1", new LayerNorm(16));
        private final MultiheadAttention attention =
                add("attention", new MultiheadAttention(16, 4, o -> o.batchFirst(true)));
        private final LayerNorm norm2 = add("norm2", new LayerNorm(16));
        private final Linear linear1 = add("linear1", new Linear(16, 32));
        private final Dropout dropout = add("dropout", new Dropout(0.1));
        private final Linear linear2 = add("linear2", new Linear(32, 16));
        private final Dropout dropout2 = add("dropout2", new Dropout(0.1));
        private final Linear head = add("head", new Linear(16, 5));

        Encoder() {
            addParameter("scale", Tensors.rand(16));
        }

        @Override
        protected Tensor forward(Tensor tokens) {
            Tensor x = into.call(tokens);
            x = Functional.add(x, attention.call(norm1.call(x)));
            Tensor y = dropout.call(Functional.gelu(linear1.call(norm2.call(x))));
            y = Functional.mul(dropout2.call(linear2.call(y)), value("scale"));
            return head.call(Functional.add(x, y));
        }
    }

    /** Attention in code of its own, as a module or in the code of what adds it. */
    private static final class OwnAttention extends Module {
        private final Linear into = add("into", new Linear(16, 16));
        private final Residual inModule =
                add("inModule", new Residual(Networks.OWN_ATTENTION.make()));
        private final Linear query = add("query", new Linear(16, 16));
        private final Linear key = add("key", new Linear(16, 16));
        private final Linear value = add("value", new Linear(16, 16));
        private final Linear out = add("out", new Linear(16, 16));

        @Override
        protected Tensor forward(Tensor x) {
            Tensor y = inModule.call(into.call(x));
            Tensor scores =
                    Functional.matmul(query.call(y), Functional.transpose(key.call(y), 1, 2));
            Tensor seen = Functional.matmul(Functional.softmax(scores, -1), value.call(y));
            Tensor sum = Functional.add(y, out.call(seen));
            return Functional.add(sum, Functional.relu(Functional.mul(sum, 2.0)));
        }
    }

    /** A block whose code needs a weight of a layer in it. */
    private static final class Needy extends Module {
        private final Linear into = add("into", new Linear(6, 8));
        private final Linear fc1 = add("fc1", new Linear(8, 8));
        private final Linear fc2 = add("fc2", new Linear(8, 8));

        @Override
        protected Tensor forward(Tensor x) {
            Tensor y = into.call(x);
            Tensor hidden = Functional.add(fc1.call(y), fc1.value("bias"));
            return Functional.add(y, fc2.call(Functional.relu(hidden)));
        }
    }

    private static List<String> texts(Slimming slimming) {
        return slimming.blocks().stream().map(ResidualBlock::toString).toList();
    }

    @Test
    @DisplayName("are found where modules compute them, in fields of their own classes or not")
    void areFound() {
        Module convolutions = convolutions();
        Tensor images = Tensors.randn(2, 3, 6, 6);
        assertEquals(
                List.of("1.conv1, 1.conv2", "2.conv1, 2.conv2", "3.inner.0, 3.inner.2"),
                texts(Slimming.of(convolutions, images)));
        assertEquals(
                List.of("attention", "linear1, linear2"),
                texts(Slimming.of(new Encoder(), Tensors.randn(2, 5, 8))));
        List<String> own = texts(Slimming.of(new OwnAttention(), Tensors.randn(2, 5, 16)));
        assertEquals(2, own.size());
        assertEquals(
                "inModule.inner.query, inModule.inner.key, inModule.inner.value,"
                        + " inModule.inner.out",
                own.getFirst());
        assertEquals(
                "query, key, value, out: stays, since 'matmul_2' is computed by no module of its"
                        + " own",
                own.getLast());
        String needy = texts(Slimming.of(new Needy(), Tensors.randn(2, 6))).getFirst();
        assertTrue(needy.startsWith("fc1, fc2: stays, since without it "), needy);
        var units =
                new Sequential(new Linear(6, 8), new Residual(new LSTM(8, 8)), new Linear(8, 3));
        assertEquals(
                List.of("1.inner: stays, since no channels lie within it alone"),
                texts(Slimming.of(units, Tensors.randn(2, 5, 6))));
        convolutions.onOutput((module, results) -> results);
        assertEquals(List.of(), texts(Slimming.of(convolutions, images)));
    }

    /** The first of its blocks gives next to nothing. */
    private static Sequential withIdleBlock() {
        Sequential model = convolutions();
        try (var noGrad = new NoGradGuard()) {
            model.module("1.bn2").parameter("weight").mul_(new Scalar(0.001));
            // None of the other block's channels are always above zero, or never.
            model.module("2.bn1").parameter("bias").zero_();
            model.module("2.bn1").buffer("running_mean").zero_();
        }
        model.eval();
        return model;
    }

    private static final Tensor IMAGES = Tensors.randn(32, 3, 6, 6);

    private static Slimming slimming(Module model) {
        return Slimming.of(model, IMAGES)
                .macs(0.5)
                .importance(ChannelImportance.secondOrder(List.of(IMAGES)));
    }

    /** The share of what results vary that is lost. */
    private static double drop(Tensor wanted, Tensor found) {
        Tensor varies = wanted.sub(wanted.mean(0));
        return wanted.sub(found).norm().div(varies.norm()).square().item_double();
    }

    @Test
    @DisplayName("that give little go before widths, and what they give on average stays")
    void goWhole() {
        Sequential model = withIdleBlock();
        Sequential same = model.copy();
        Module conv = model.module("1.conv1");
        Tensor wanted = model.call(IMAGES).detach().clone();
        Tensor average = model.module("1.bn2").parameter("bias").detach().clone();

        SlimResult result = slimming(model).run();
        SlimResult kept = slimming(same).keepBlocks().run();

        SlimResult.Row gone =
                result.rows().stream().filter(row -> row.left() == 0).findFirst().orElseThrow();
        assertEquals("1.conv1.weight[0]", gone.group().place().toString());
        assertEquals("block removed", gone.by());
        assertEquals(0, gone.spent().orElseThrow().after());
        assertTrue(result.after().macs() <= 0.503 * result.before().macs(), result::toString);
        assertInstanceOf(Identity.class, model.module("1.conv1"));
        var given = assertInstanceOf(Constant.class, model.module("1.bn2"));
        assertArrayEquals(new long[] {1, 16, 1, 1}, Tensors.shape(given.value()));
        assertEquals(0, given.value().flatten().sub(average).abs().max().item_double(), 0.01);
        assertFalse(model.isTraining() || given.isTraining() || conv.isTraining());
        double drop = drop(wanted, model.call(IMAGES));
        assertTrue(drop < 1e-4, () -> "drop " + drop);
        assertTrue(kept.rows().stream().allMatch(row -> row.left() > 0), kept::toString);
        double other = drop(wanted, same.call(IMAGES));
        assertTrue(other > 2 * drop, () -> other + " with it, without " + drop);

        Sequential copy = model.copy();
        Tensor found = model.call(IMAGES).detach().clone();
        given.value().fill_(new Scalar(0));
        assertEquals(0, drop(found, copy.call(IMAGES)), 1e-6);
        given.value().copy_(copy.stateDict().get("1.bn2.value"));
        assertEquals(0, drop(found, model.call(IMAGES)), 1e-6);
    }

    @Test
    @DisplayName("leave results as they are where what they give is one number for each channel")
    void areExact() {
        Module model = new Encoder();
        model.eval();
        Tensor tokens = Tensors.randn(4, 5, 8);
        try (var noGrad = new NoGradGuard()) {
            model.module("linear2").parameter("weight").zero_();
            Tensor wanted = model.call(tokens);
            ModelSlimmer slimmer = ModelSlimmer.of(model, List.of(tokens));
            List<ModelBlock> blocks =
                    slimmer.blocks().stream().flatMap(found -> found.block().stream()).toList();
            var means = BlockMeans.of(slimmer.analysis(), blocks, List.of(tokens), 4);
            List<Group> groups = slimmer.groups().independent(group -> true);
            var modules = new LeftOutModules(slimmer.analysis(), groups.size(), means);

            ModelSlimmer.Removed removed = slimmer.removed(List.of(), modules, modules.without(1));

            assertInstanceOf(Constant.class, model.module("linear2"));
            assertInstanceOf(Identity.class, model.module("dropout2"));
            assertEquals(0, wanted.sub(model.call(tokens)).abs().max().item_double(), 1e-5);
            assertEquals(6, removed.blocks().parameters().size());
            removed.undo();
            assertInstanceOf(Dropout.class, model.module("dropout2"));
            assertEquals(0, wanted.sub(model.call(tokens)).abs().max().item_double());
        }
    }

    @Test
    @DisplayName("cost nothing when they are gone, beside any widths of what they are read by")
    void costsAreForeseen() {
        Sequential model = withIdleBlock();
        ModelSlimmer slimmer = ModelSlimmer.of(model, List.of(IMAGES));
        List<Group> groups = slimmer.groups().independent(group -> true);
        List<ModelBlock> blocks =
                slimmer.blocks().stream().flatMap(found -> found.block().stream()).toList();
        var modules =
                new LeftOutModules(
                        slimmer.analysis(),
                        groups.size(),
                        BlockMeans.of(slimmer.analysis(), blocks, List.of(IMAGES), 32));
        var costs = new ModelCosts(slimmer, groups, modules);
        int[] widths = Arrays.copyOf(UnitWidths.of(groups, 0.5), groups.size() + 3);
        for (int[] there : new int[][] {{1, 1, 1}, {0, 1, 1}, {0, 1, 0}}) {
            System.arraycopy(there, 0, widths, groups.size(), there.length);
            double macs = costs.macs().of(widths);
            double parameters = costs.parameters().of(widths);

            SlimResult.Cost found =
                    slimmer.narrowed(
                            groups,
                            modules,
                            widths,
                            () -> TracedModel.of(model, List.of(IMAGES)).cost(List.of(IMAGES)));

            assertEquals(found.macs(), macs, 1e-6 * macs);
            assertEquals(found.parameters(), parameters, 0.5);
        }
    }

    @Test
    @DisplayName("are let go of by optimizers, and what is left trains on")
    void optimizersFollow() {
        Sequential model = withIdleBlock();
        Optimizer adam = Optimizers.adam(model.parameters(), 1e-3);
        model.call(IMAGES).square().sum().backward();
        adam.step();

        slimming(model).optimizer(adam).run();

        assertEquals(model.parameters().size(), adam.param_groups().get(0).params().size());
        Tensor weight = model.module("2.conv1").parameter("weight");
        Tensor before = weight.detach().clone();
        model.call(IMAGES).square().sum().backward();
        adam.step();
        assertTrue(weight.sub(before).abs().max().item_double() > 0);
    }

    @Test
    @DisplayName("stay where names keep them, and after a target that is out of reach")
    void stay() {
        Sequential model = withIdleBlock();
        Map<String, Module> before = model.namedModules();
        Map<String, float[]> state = SlimmingTest.state(model);

        Slimming few = slimming(model).macs(0.001);
        assertThrows(EspalierException.class, few::run);

        assertEquals(before, model.namedModules());
        SlimmingTest.state(model)
                .forEach((name, values) -> assertArrayEquals(state.get(name), values, name));
        Sequential some = model.copy();
        Sequential whole = model.copy();
        slimming(model).macs(0.8).keep("1.conv2").run();
        slimming(some).only("1.conv1", "2*").run();
        slimming(whole).only("1*").run();
        assertInstanceOf(BatchNorm2d.class, model.module("1.bn2"));
        assertInstanceOf(BatchNorm2d.class, some.module("1.bn2"));
        assertInstanceOf(Constant.class, whole.module("1.bn2"));
    }
}
