package io.espalier.quant.fusion;

import static io.espalier.TrainedModels.trained;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.graph.GraphModule;
import io.espalier.nn.BatchNorm2d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Functional;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.nn.Softmax;
import io.espalier.quant.Quantization;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.util.List;
import java.util.function.BinaryOperator;

@DisplayName("Finding the chains of a model")
class FindingChainsTest {
    private static final int NETWORKS = 60;

    @BeforeEach
    void seed() {
        Libtorch.seed(1);
    }

    private static float relative(Tensor expected, Tensor actual) {
        return actual.div(expected).sub(new Scalar(1)).abs().max().item_float();
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    @DisplayName("leaves what a network computes, and what is used twice; random networks")
    void randomNetworks(boolean traceable) {
        int found = 0;
        for (int seed = 0; seed < NETWORKS; seed++) {
            try (var scope = new PointerScope()) {
                Libtorch.seed(seed);
                RandomNetwork network =
                        trained(new RandomNetwork(seed, traceable), Tensors.randn(8, 4, 6, 6));
                Tensor other = Tensors.randn(8, 4, 6, 6);
                Tensor before = network.call(other);

                List<List<String>> chains = Quantization.fuse(network, Tensors.randn(3, 4, 6, 6));

                for (List<String> chain : traceable ? chains : List.<List<String>>of()) {
                    for (int i = 1; i < chain.size(); i++) {
                        assertTrue(
                                network.feedsOnly(chain.get(i - 1), chain.get(i)),
                                "network " + seed + ": " + chain);
                    }
                }
                float off = relative(before, network.call(other));
                float logits = 1 + before.log().abs().max().item_float();
                assertTrue(off < 1e-4 * logits, "network " + seed + ": " + off + " by " + chains);
                found += chains.size();
            }
        }
        assertTrue(found > NETWORKS / 4, "found " + found);
    }

    @Test
    @DisplayName("misses no pair of layers of which the second is all that the first feeds")
    void missesNone() {
        for (int seed = 0; seed < NETWORKS; seed++) {
            try (var scope = new PointerScope()) {
                Libtorch.seed(seed);
                RandomNetwork network =
                        trained(new RandomNetwork(seed, true), Tensors.randn(8, 4, 6, 6));
                List<List<String>> fusable =
                        network.pairs().stream()
                                .filter(pair -> Fusion.fits(network, pair))
                                .toList();
                List<List<String>> chains =
                        Fusion.chains(network, List.of(Tensors.randn(3, 4, 6, 6)));
                for (List<String> pair : fusable) {
                    assertTrue(
                            chains.stream().anyMatch(chain -> chain.containsAll(pair)),
                            "network " + seed + ": " + pair + " is not in " + chains);
                }
            }
        }
    }

    /** A convolution whose result is used a second time, and probabilities of many classes. */
    private static final class UsedTwice extends Module {
        final Conv2d conv = add("conv", new Conv2d(3, 8, 3));
        final BatchNorm2d norm = add("norm", new BatchNorm2d(8));
        final ReLU relu = add("relu", new ReLU());
        final Linear fc = add("fc", new Linear(8, 1000));
        final Softmax softmax = add("softmax", new Softmax(1));
        private final BinaryOperator<Tensor> second;

        UsedTwice(BinaryOperator<Tensor> second) {
            this.second = second;
            fc.parameter("weight").detach().mul_(new Scalar(0.1));
        }

        @Override
        protected Tensor forward(Tensor x) {
            Tensor z = norm.call(conv.call(x));
            Tensor y = second.apply(relu.call(z), z);
            return softmax.call(fc.call(Functional.mean(y, new long[] {2, 3}, false)));
        }
    }

    @Test
    @DisplayName("sees a second use where outputs are small, in code of any kind")
    void smallOutputs() {
        for (BinaryOperator<Tensor> second :
                List.<BinaryOperator<Tensor>>of(
                        (y, z) -> y.sub(z.mul(z)),
                        (y, z) -> Functional.sub(y, Functional.mul(z, z)),
                        (y, z) -> Functional.add(y, Functional.mul(z, 1e-4)))) {
            UsedTwice model = trained(new UsedTwice(second), Tensors.randn(4, 3, 12, 12));
            Tensor other = Tensors.randn(4, 3, 12, 12);
            Tensor before = model.call(other);

            assertEquals(
                    List.of(List.of("conv", "norm")),
                    Quantization.fuse(model, Tensors.randn(4, 3, 12, 12)));

            float off = relative(before, model.call(other));
            assertTrue(off < 1e-4, "off by " + off);
        }
    }

    @Test
    @DisplayName("sees a second use that makes no difference on the example, where it can trace")
    void differenceElsewhere() {
        UsedTwice model =
                trained(
                        new UsedTwice((y, z) -> Functional.add(y, Functional.clamp(z, 1000, 2000))),
                        Tensors.randn(4, 3, 12, 12));
        assertEquals(
                List.of(List.of("conv", "norm")),
                Quantization.fuse(model, Tensors.randn(4, 3, 12, 12)));
    }

    private static final class ReadElsewhere extends Module {
        final Conv2d conv = add("conv", new Conv2d(2, 2, 1));
        final BatchNorm2d norm = add("norm", new BatchNorm2d(2));
        final Conv2d plain = add("plain", new Conv2d(2, 2, 1));
        final ReLU relu = add("relu", new ReLU());

        @Override
        protected Tensor forward(Tensor x) {
            Tensor y = relu.call(plain.call(norm.call(conv.call(x))));
            Tensor weights = Functional.mul(conv.weight(), plain.weight());
            return Functional.mul(y, Functional.mean(weights, new long[] {0}, false));
        }
    }

    @Test
    @DisplayName("folds nothing into a weight that is used elsewhere too")
    void weightReadElsewhere() {
        ReadElsewhere model = trained(new ReadElsewhere(), Tensors.randn(4, 2, 1, 1));
        Tensor x = Tensors.randn(4, 2, 1, 1);
        Tensor before = model.call(x);

        assertEquals(List.of(List.of("plain", "relu")), Quantization.fuse(model, x));

        assertTrue(Tensors.equal(before, model.call(x)));
    }

    /** As {@link ReadElsewhere}, in code that no graph holds. */
    private static final class ReadUnseen extends Module {
        final Conv2d conv = add("conv", new Conv2d(2, 2, 1));
        final BatchNorm2d norm = add("norm", new BatchNorm2d(2));
        final Conv2d sure = add("sure", new Conv2d(2, 2, 1));
        final BatchNorm2d after = add("after", new BatchNorm2d(2));

        @Override
        protected Tensor forward(Tensor x) {
            Tensor y = after.call(sure.call(norm.call(conv.call(x))));
            return y.mul(conv.weight().sum());
        }
    }

    @Test
    @DisplayName("folds nothing into a weight that code reads which can't be traced")
    void weightReadUnseen() {
        Tensor x = Tensors.randn(4, 2, 1, 1);
        ReadUnseen model = trained(new ReadUnseen(), x);
        var inside = new Sequential(trained(new ReadUnseen(), x));
        inside.eval();
        Tensor before = model.call(x);
        assertThrows(EspalierException.class, () -> GraphModule.trace(model, x));

        assertEquals(List.of(List.of("sure", "after")), Quantization.fuse(model, x));
        assertEquals(List.of(List.of("0.sure", "0.after")), Quantization.fuse(inside, x));

        assertTrue(torch.allclose(before, model.call(x), 1e-3, 1e-4, false));
        assertTrue(inside.call(x).defined());
        assertEquals(BatchNorm2d.class, model.module("norm").getClass());
    }

    private static final class Branching extends Module {
        final Linear fc = add("fc", new Linear(2, 2));
        final ReLU relu = add("relu", new ReLU());
        final Linear sure = add("sure", new Linear(2, 2));
        final ReLU after = add("after", new ReLU());

        @Override
        protected Tensor forward(Tensor x) {
            Tensor y = after.call(sure.call(x));
            return x.sum().item_float() > 0 ? relu.call(fc.call(y)) : fc.call(y);
        }
    }

    @Test
    @DisplayName("sees where a model goes another way with other numbers")
    void branching() {
        var model = new Branching();
        model.eval();

        assertEquals(
                List.of(List.of("sure", "after")), Quantization.fuse(model, Tensors.ones(1, 2)));
    }
}
