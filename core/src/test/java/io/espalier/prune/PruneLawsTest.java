package io.espalier.prune;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.Conv2d;
import io.espalier.nn.Functional;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;
import io.espalier.train.Optimizers;

import org.bytedeco.pytorch.Optimizer;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.util.List;
import java.util.Random;
import java.util.random.RandomGenerator;

/** What holds for every method, model and amount. */
class PruneLawsTest {
    static PruningMethod anyMethod(RandomGenerator random) {
        Amount amount = Amount.share(random.nextDouble());
        int dim = random.nextInt(-4, 4);
        return switch (random.nextInt(6)) {
            case 0 -> new L1Unstructured(amount);
            case 1 -> new RandomUnstructured(amount);
            case 2 -> new LnStructured(amount, random.nextDouble(0.5, 4), dim);
            case 3 -> new LnStructured(amount, Double.NEGATIVE_INFINITY, dim);
            case 4 -> new RandomStructured(amount, dim);
            default -> new PruneTest.Threshold(random.nextDouble(0.2));
        };
    }

    static Tensor mask(Module module) {
        return module.buffer("weight_mask");
    }

    static long pruned(Module module) {
        return mask(module).eq(new Scalar(0)).sum().item_long();
    }

    @Test
    @DisplayName("whatever prunes, in whatever order, no pruned weight comes back")
    void neverRevives() {
        var random = new Random(1);
        for (int trial = 0; trial < 60; trial++) {
            Conv2d conv = new Conv2d(random.nextInt(1, 5), random.nextInt(1, 6), 3);
            Prune.identity(conv, "weight");
            for (int step = 0; step < 4; step++) {
                Tensor before = mask(conv).clone();
                PruningMethod method = anyMethod(random);

                Prune.apply(conv, "weight", method);

                assertTrue(
                        mask(conv).le(before).all().item_bool(), method + " brought a weight back");
            }
        }
    }

    @Test
    @DisplayName("a share is a share of what is still kept")
    void relativeAmounts() {
        Linear linear = new Linear(10, 10);

        Prune.l1Unstructured(linear, "weight", 0.5);
        Prune.randomUnstructured(linear, "weight", 0.5);
        assertEquals(75, pruned(linear));

        Prune.l1Unstructured(linear, "weight", 10);
        assertEquals(85, pruned(linear));
    }

    @Test
    @DisplayName("a share is rounded to the nearest count, halves to the even one")
    void rounding() {
        assertEquals(2, Amount.share(0.5).of(5));
        assertEquals(4, Amount.share(0.5).of(7));
        assertEquals(0, Amount.share(0.1).of(4));
        assertEquals(4, Amount.share(1).of(4));
    }

    @Test
    @DisplayName("channels that are pruned already don't count, those pruned in part do")
    void channelsStillKept() {
        Linear linear = PruneTest.linear(2, 4, 9, 9, 1, 1, 5, 0, 3, 3);
        Prune.customFromMask(
                linear, "weight", Tensors.of(new float[] {1, 1, 0, 0, 1, 0, 1, 1}, 4, 2));

        Prune.lnStructured(linear, "weight", 0.34, 1, 0); // 1 of the 3 rows left

        assertArrayEquals(new float[] {1, 1, 0, 0, 0, 0, 1, 1}, PruneTest.mask(linear));
    }

    @Test
    @DisplayName("methods in a container do what they would do in turn")
    void container() {
        var random = new Random(2);
        for (int trial = 0; trial < 20; trial++) {
            Conv2d one = new Conv2d(3, 4, 2);
            Conv2d other = one.copy();
            List<PruningMethod> methods =
                    List.of(
                            new L1Unstructured(random.nextDouble()),
                            new LnStructured(random.nextDouble(), 2, random.nextInt(4)),
                            new PruneTest.Threshold(0.1));

            methods.forEach(method -> Prune.apply(one, "weight", method));
            Prune.apply(other, "weight", new PruningContainer(methods));

            assertTrue(Tensors.equal(mask(one), mask(other)));
        }
    }

    @Test
    @DisplayName("removing leaves the very weights that forward saw")
    void removeKeepsWeights() {
        var random = new Random(3);
        for (int trial = 0; trial < 20; trial++) {
            Conv2d conv = new Conv2d(2, 3, 3);
            Prune.apply(conv, "weight", anyMethod(random));
            Tensor seen = conv.weight().detach().clone();

            Prune.remove(conv, "weight");

            assertTrue(Tensors.equal(seen, conv.weight()));
            assertEquals(List.of("bias", "weight"), List.copyOf(conv.stateDict().keySet()));
            assertTrue(conv.parameter("weight").requires_grad());
        }
    }

    private static Optimizer optimizer(String kind, List<Tensor> parameters) {
        return switch (kind) {
            case "SGD" -> Optimizers.sgd(parameters, 0.1);
            case "SGD with momentum and decay" ->
                    Optimizers.sgd(parameters, 0.1, s -> s.momentum(0.9).weightDecay(0.01));
            case "Adam" -> Optimizers.adam(parameters, 0.05);
            case "Adam with decay" -> Optimizers.adam(parameters, 0.05, s -> s.weightDecay(0.01));
            default -> Optimizers.adamW(parameters, 0.05);
        };
    }

    @ParameterizedTest
    @ValueSource(
            strings = {"SGD", "SGD with momentum and decay", "Adam", "Adam with decay", "AdamW"})
    @DisplayName("no optimizer moves what is masked, pruned before it was made or in mid-training")
    void trainingKeepsMasks(String kind) {
        Libtorch.seed(4);
        Linear linear = new Linear(6, 5);
        Prune.l1Unstructured(linear, "weight", 0.3);
        Optimizer optimizer = optimizer(kind, linear.parameters());
        Tensor x = Tensors.randn(8, 6);
        Tensor y = Tensors.randn(8, 5);
        for (int step = 0; step < 40; step++) {
            if (step == 20) {
                Prune.l1Unstructured(linear, "weight", 0.5);
            }
            Tensor before = linear.weight().detach().clone();
            optimizer.zero_grad();
            Functional.mseLoss(linear.call(x), y).backward();
            optimizer.step();

            Tensor masked = mask(linear).eq(new Scalar(0));
            assertEquals(0, linear.weight().masked_select(masked).abs().sum().item_float());
            assertEquals(
                    0,
                    linear.parameter("weight_orig")
                            .grad()
                            .masked_select(masked)
                            .abs()
                            .sum()
                            .item_float());
            assertTrue(!Tensors.equal(before, linear.weight()), "the rest is trained");
        }
    }

    @Test
    @DisplayName("a copy of a pruned model computes the same and is pruned on its own")
    void copies() {
        var model = new Sequential(new Linear(4, 3), new ReLU(), new Linear(3, 2));
        Prune.l1Unstructured(model.get(0), "weight", 0.5);
        Tensor x = Tensors.randn(2, 4);

        Sequential copy = model.copy();

        assertTrue(Tensors.equal(model.call(x), copy.call(x)));
        assertNotSame(mask(model.get(0)), mask(copy.get(0)));
        Prune.l1Unstructured(copy.get(0), "weight", 6);
        assertEquals(6, pruned(model.get(0)));
        assertEquals(12, pruned(copy.get(0)));
        Prune.remove(copy.get(0), "weight");
        assertTrue(Prune.isPruned(model));
        assertTrue(!Prune.isPruned(copy));
    }

    @Test
    @DisplayName("pruning through a field acts on what stands at its place now")
    void replaced() {
        var model = new Sequential(new Linear(4, 3), new ReLU());
        Module field = model.get(0);
        Linear replacement = new Linear(4, 3);
        model.replace("0", replacement);

        Prune.l1Unstructured(field, "weight", 5);

        assertEquals(5, pruned(replacement));
        assertTrue(Prune.isPruned(model));
        Prune.remove(field, "weight");
        assertTrue(!Prune.isPruned(model));
    }

    @Test
    @DisplayName("the state has PyTorch's names in PyTorch's order")
    void stateOrder() {
        Linear linear = new Linear(2, 3);

        Prune.l1Unstructured(linear, "weight", 1);
        assertEquals(
                List.of("bias", "weight_orig", "weight_mask"),
                List.copyOf(linear.stateDict().keySet()));

        Prune.randomUnstructured(linear, "bias", 1);
        assertEquals(
                List.of("weight_orig", "bias_orig", "weight_mask", "bias_mask"),
                List.copyOf(linear.stateDict().keySet()));
    }

    @Test
    @DisplayName("random pruning repeats from a seed and prunes just the count")
    void randomRepeats() {
        Linear one = new Linear(20, 20);
        Linear other = one.copy();

        Libtorch.seed(6);
        Prune.randomUnstructured(one, "weight", 123);
        Libtorch.seed(6);
        Prune.randomUnstructured(other, "weight", 123);

        assertEquals(123, pruned(one));
        assertTrue(Tensors.equal(mask(one), mask(other)));
    }
}
