package io.espalier.quant.accuracy;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.Conv2d;
import io.espalier.nn.Flatten;
import io.espalier.nn.Functional;
import io.espalier.nn.LayerNorm;
import io.espalier.nn.Linear;
import io.espalier.nn.MaxPool1d;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.quant.fusion.RandomNetwork;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.util.List;
import java.util.function.UnaryOperator;

@DisplayName("Chains to equalize")
class RandomChainsTest {
    private static final int NETWORKS = 80;

    @BeforeEach
    void seed() {
        Libtorch.seed(9);
    }

    private static float relative(Tensor expected, Tensor actual) {
        return actual.div(expected).sub(new Scalar(1)).abs().max().item_float();
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    @DisplayName("leave what a random network computes, and end where a result is used twice")
    void randomNetworks(boolean traceable) {
        int found = 0;
        for (int seed = 0; seed < NETWORKS; seed++) {
            try (var scope = new PointerScope()) {
                Libtorch.seed(seed);
                var network = new RandomNetwork(seed, traceable);
                network.eval();
                Tensor other = Tensors.randn(8, 4, 6, 6);
                Tensor before = network.call(other);

                List<List<String>> chains = Equalization.chains(network, Tensors.randn(3, 4, 6, 6));

                for (List<String> chain : chains) {
                    for (int i = 1; traceable && i < chain.size(); i++) {
                        String pair = chain.get(i - 1) + " and " + chain.get(i);
                        assertTrue(
                                network.feedsThroughReLU(chain.get(i - 1), chain.get(i)),
                                "network " + seed + ": " + pair);
                    }
                    Equalization.apply(network, chain);
                }
                float off = relative(before, network.call(other));
                float logits = 1 + before.log().abs().max().item_float();
                assertTrue(off < 1e-4 * logits, "network " + seed + ": " + off + " by " + chains);
                found += chains.size();
            }
        }
        assertTrue(found > NETWORKS / 10, "found " + found);
    }

    /** Two layers with something between them in code. */
    private static final class Between extends Module {
        final Conv2d first = add("first", new Conv2d(3, 8, 3));
        final Linear second = add("second", new Linear(8, 4));
        private final UnaryOperator<Tensor> between;

        Between(UnaryOperator<Tensor> between) {
            this.between = between;
        }

        @Override
        protected Tensor forward(Tensor x) {
            return second.call(between.apply(first.call(x)));
        }
    }

    private static List<List<String>> between(UnaryOperator<Tensor> code) {
        var model = new Between(code);
        model.eval();
        return Equalization.chains(model, Tensors.randn(2, 3, 10, 10));
    }

    @Test
    @DisplayName("go through activations, means and shapes in a module's own code")
    void throughCode() {
        List<List<String>> found = List.of(List.of("first", "second"));
        assertEquals(
                found, between(x -> Functional.mean(Functional.relu(x), new long[] {2, 3}, false)));
        assertEquals(
                found,
                between(x ->
                        Functional.flatten(
                                Functional.adaptiveAvgPool2d(Functional.leakyRelu(x, 0.1), 1, 1),
                                1,
                                -1)));
        assertEquals(found, between(x -> Functional.permute(x, 0, 2, 3, 1)));
    }

    @Test
    @DisplayName("end where channels lie along another dimension, are bounded, added to or used")
    void otherDimensions() {
        List<UnaryOperator<Tensor>> codes =
                List.of(
                        x -> x, // the last dimension has as many elements as there are channels
                        x -> Functional.permute(x, 0, 2, 1, 3),
                        x -> Functional.mean(x, new long[] {1, 2}, false),
                        x -> Functional.relu6(Functional.mean(x, new long[] {2, 3}, false)),
                        x -> Functional.add(Functional.mean(x, new long[] {2, 3}, false), 1),
                        x ->
                                Functional.mul(
                                        Functional.mean(x, new long[] {2, 3}, false),
                                        Functional.amax(x, new long[] {2, 3}, false)),
                        x -> x.mean(2, 3).sigmoid());
        for (int i = 0; i < codes.size(); i++) {
            assertEquals(List.of(), between(codes.get(i)), "code " + i);
        }
        var pooled =
                new Sequential(new Linear(8, 8), new MaxPool1d(3, o -> o.stride(1).padding(1)));
        var model = new Sequential(pooled, new Flatten(2, -1), new Linear(8, 4));
        model.eval();
        assertEquals(List.of(), Equalization.chains(model, Tensors.randn(2, 9, 8)));
    }

    /** A normalization whose result is read by one layer, and by something of no consequence. */
    private static final class ReadTwice extends Module {
        final LayerNorm norm = add("norm", new LayerNorm(6));
        final Linear fc = add("fc", new Linear(6, 3));
        final ReLU relu = add("relu", new ReLU());
        private final boolean twice;

        ReadTwice(boolean twice) {
            this.twice = twice;
        }

        @Override
        protected Tensor forward(Tensor x) {
            Tensor y = relu.call(norm.call(x));
            Tensor z = fc.call(y);
            Tensor rest = Functional.narrow(Functional.clamp(y, 500, 900), 1, 0, 3);
            return twice ? Functional.add(z, rest) : z;
        }
    }

    @Test
    @DisplayName("to smooth are refused where another reads what is divided, whatever the data")
    void smoothing() {
        Tensor x = Tensors.randn(5, 6);
        List<SmoothQuant.Group> groups = List.of(SmoothQuant.Group.after("norm", "fc"));
        var once = new ReadTwice(false);
        once.eval();
        Tensor before = once.call(x);
        SmoothQuant.apply(once, groups, List.of(x));
        assertTrue(once.call(x).sub(before).abs().max().item_float() < 1e-5);
        var twice = new ReadTwice(true);
        twice.eval();
        assertTrue(
                messageOf(() -> SmoothQuant.apply(twice, groups, List.of(x)))
                        .startsWith("Smoothed, the model would give something else"));
    }
}
