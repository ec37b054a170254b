package io.espalier.prune;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.data.DataLoader;
import io.espalier.data.Dataset;
import io.espalier.nn.Functional;
import io.espalier.nn.Linear;
import io.espalier.nn.Mask;
import io.espalier.nn.Module;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;
import io.espalier.train.Evaluator;
import io.espalier.train.Losses;
import io.espalier.train.Metrics;
import io.espalier.train.Optimizers;
import io.espalier.train.Trainer;
import io.espalier.train.TrainingResult;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

class DynamicPruningTest {
    static final class Two extends Module {
        final Linear a = add("a", new Linear(6, 5));
        final Linear b = add("b", new Linear(5, 4));

        @Override
        protected Tensor forward(Tensor x) {
            return b.call(a.call(x).relu());
        }
    }

    private static List<Target> weight(Linear layer) {
        return List.of(new Target(layer, "weight"));
    }

    private static long kept(Module module) {
        return Math.round(module.buffer("weight_mask").sum().item_double());
    }

    /** One step of plain descent with rate 0.1. */
    private static void step(Module model, Tensor x, Tensor y) {
        try (var scope = new PointerScope()) {
            var optimizer = Optimizers.sgd(model.parameters(), 0.1);
            optimizer.zero_grad();
            Functional.mseLoss(model.call(x), y).backward();
            optimizer.step();
        }
    }

    @Test
    @DisplayName("a pruned weight reads as zero, still learns, and returns when it has grown")
    void splices() {
        var layer = new Linear(2, 1, o -> o.bias(false));
        layer.parameter("weight").detach().copy_(Tensors.of(new float[] {1, 0.1f}, 1, 2));
        var pruning = DynamicPruning.magnitude(weight(layer), Schedule.oneShot(0.5));
        Tensor x = Tensors.of(new float[] {0, 1}, 1, 2);
        Tensor y = Tensors.of(new float[] {10}, 1, 1);
        pruning.update(1);
        assertArrayEquals(new float[] {1, 0}, Tensors.floats(layer.weight()));

        // The output is 0, so the gradient of the pruned weight is 2 · (0 − 10) = −20.
        step(layer, x, y);
        assertArrayEquals(
                new float[] {1, 0.1f + 2}, Tensors.floats(layer.parameter("weight_orig")), 1e-6f);
        pruning.update(2);

        assertArrayEquals(new float[] {0, 2.1f}, Tensors.floats(layer.weight()), 1e-6f);
        pruning.freeze();
        assertEquals(List.of(new Mask("weight")), layer.parametrizations("weight"));
        assertArrayEquals(new float[] {0, 2.1f}, Tensors.floats(layer.weight()), 1e-6f);
    }

    @Test
    @DisplayName("gradual pruning takes more and more and never gives back")
    void gradual() {
        var layer = new Linear(6, 5);
        Prune.l1Unstructured(layer, "weight", 3);
        var pruning = DynamicPruning.gradual(weight(layer), Schedule.linear(0, 0.5, 5));
        Tensor x = Tensors.randn(8, 6);
        Tensor y = Tensors.randn(8, 5);
        float[] before = Tensors.floats(layer.buffer("weight_mask"));
        for (int n = 1; n <= 6; n++) {
            step(layer, x, y);
            pruning.update(n);
            assertEquals(30 - Math.min(15, 3 * n), kept(layer));
            float[] after = Tensors.floats(layer.buffer("weight_mask"));
            for (int i = 0; i < after.length; i++) {
                assertTrue(after[i] <= before[i]);
            }
            before = after;
        }
        Tensor last = layer.weight().clone();
        pruning.freeze();
        assertTrue(Tensors.equal(last, layer.weight()));
    }

    @Test
    @DisplayName("a movement score is the sum of −weight · gradient, also while it is masked")
    void movementScores() {
        var layer = new Linear(3, 1, o -> o.bias(false));
        layer.parameter("weight").detach().copy_(Tensors.of(new float[] {1, -2, 3}, 1, 3));
        var pruning = DynamicPruning.movement(weight(layer), Schedule.oneShot(1 / 3.0));
        Tensor x = Tensors.of(new float[] {1, 0.5f, -1}, 1, 3);
        Tensor y = Tensors.of(new float[] {2}, 1, 1);
        double[] w = {1, -2, 3};
        double[] mask = {1, 1, 1};
        double[] inputs = {1, 0.5, -1};
        double[] scores = new double[3];
        for (int n = 1; n <= 5; n++) {
            double output =
                    IntStream.range(0, 3).mapToDouble(i -> w[i] * mask[i] * inputs[i]).sum();
            for (int i = 0; i < 3; i++) {
                double gradient = 2 * (output - 2) * inputs[i];
                scores[i] -= w[i] * gradient;
                w[i] -= 0.1 * gradient * mask[i];
            }
            double lowest = Math.min(scores[0], Math.min(scores[1], scores[2]));
            for (int i = 0; i < 3; i++) {
                mask[i] = scores[i] == lowest ? 0 : 1;
            }

            step(layer, x, y);
            pruning.update(n);

            float[] found = Tensors.floats(layer.buffer("weight_scores"));
            for (int i = 0; i < 3; i++) {
                assertEquals(scores[i], found[i], 1e-4, "step " + n);
                assertEquals(mask[i], Tensors.floats(layer.buffer("weight_mask"))[i]);
                assertEquals(w[i] * mask[i], Tensors.floats(layer.weight())[i], 1e-4);
            }
        }
        pruning.freeze();
        assertFalse(layer.hasBuffer("weight_scores"));
        assertTrue(Prune.isPruned(layer));
    }

    @Test
    @DisplayName("follows the schedule of a trainer's steps, over all layers or in each")
    void followsTrainer() {
        var data = Dataset.of(Tensors.randn(60, 6), Tensors.randn(60, 4));
        for (boolean perLayer : new boolean[] {false, true}) {
            var model = new Two();
            var together =
                    DynamicPruning.magnitude(Target.weights(model), Schedule.cubic(0, 0.8, 12))
                            .every(3);
            var pruning = perLayer ? together.perLayer() : together;
            Trainer.of(model, Losses.mse(), Optimizers.sgd(model.parameters(), 0.1))
                    .batchSize(10)
                    .listen(pruning)
                    .train(data, 2);
            pruning.freeze();
            assertEquals(10, kept(model.a) + kept(model.b));
            if (perLayer) {
                assertEquals(6, kept(model.a));
            }
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 7, 1000})
    @DisplayName("a trainer that keeps the best model gives it back as sparse as was asked")
    void keepsBestOfTarget(int every) {
        Libtorch.seed(5);
        Tensor x = Tensors.randn(200, 6);
        var data = Dataset.of(x, x.narrow(1, 0, 4).argmax(new LongOptional(1), false));
        var model = new Two();
        var pruning =
                DynamicPruning.gradual(Target.weights(model), Schedule.linear(0, 0.9, 50))
                        .every(every);
        TrainingResult result =
                Trainer.of(model, Losses.crossEntropy(), Optimizers.sgd(model.parameters(), 0.5))
                        .batchSize(20)
                        .listen(pruning)
                        .evaluateEvery(5, data, Metrics.accuracy())
                        .patience(3, 0)
                        .keepBest()
                        .train(data, 10);
        pruning.freeze();
        assertEquals(5, kept(model.a) + kept(model.b));
        assertEquals(List.of(), result.warnings());
        assertTrue(result.best().orElseThrow().step() >= 50);
        assertTrue(result.evaluations().size() >= 12, "patience begins where the schedule ends");
        double accuracy = Evaluator.accuracy(data).evaluate(model);
        assertEquals(result.best().orElseThrow().first(), accuracy);
    }

    @Test
    @DisplayName("a training that ends before the schedule says how far the sparsity came")
    void endsEarly() {
        var data = Dataset.of(Tensors.randn(60, 6), Tensors.randn(60, 4));
        var model = new Two();
        var pruning =
                DynamicPruning.gradual(Target.weights(model), Schedule.linear(0, 0.8, 16)).every(5);
        TrainingResult result =
                Trainer.of(model, Losses.mse(), Optimizers.sgd(model.parameters(), 0.1))
                        .batchSize(10)
                        .listen(pruning)
                        .evaluateEvery(1, data, Metrics.meanLoss(Losses.mse()))
                        .keepBest()
                        .train(data, 2);
        assertEquals(
                List.of(
                        "No evaluation counts as the best, so the model is as the last step left"
                                + " it.",
                        "The pruning schedule was to reach 80.00 % after 16 steps and is at 50.00 %"
                                + " after 12: train longer, or give it fewer steps."),
                result.warnings());
        assertEquals(25, kept(model.a) + kept(model.b));
        assertTrue(result.best().isEmpty());
    }

    @Test
    @DisplayName("a training resumed before the schedule's end keeps the best of what is pruned")
    void resumesWithBest(@TempDir Path directory) {
        Path file = directory.resolve("training.safetensors");
        var data = Dataset.of(Tensors.randn(60, 6), Tensors.randn(60, 4));
        var schedule = Schedule.linear(0, 0.8, 8);
        var model = new Two();
        Two resumed = model.copy();
        TrainingResult first =
                trainer(model, schedule, data).checkpointEvery(100, file).train(data, 1);
        assertEquals(2, first.warnings().size());
        TrainingResult result = trainer(resumed, schedule, data).resume(file).train(data, 2);
        assertEquals(List.of(), result.warnings());
        assertEquals(10, kept(resumed.a) + kept(resumed.b));
        assertTrue(result.best().orElseThrow().step() >= 8);
    }

    private static Trainer trainer(Two model, Schedule schedule, Dataset data) {
        var pruning = DynamicPruning.gradual(Target.weights(model), schedule);
        return Trainer.of(model, Losses.mse(), Optimizers.sgd(model.parameters(), 0.1))
                .batchSize(10)
                .listen(pruning)
                .evaluateEvery(1, data, Metrics.meanLoss(Losses.mse()))
                .keepBest();
    }

    @Test
    @DisplayName("goes by any importance, taken of the weights as if they had no mask")
    void byImportance() {
        var layer = new Linear(6, 5);
        var pruning = DynamicPruning.by(Importance.lamp(), weight(layer), Schedule.oneShot(0.5));
        pruning.update(1);
        float[] first = Tensors.floats(layer.buffer("weight_mask"));
        layer.buffer("weight_mask").zero_();
        pruning.update(2);
        assertArrayEquals(first, Tensors.floats(layer.buffer("weight_mask")));
        assertEquals(15, kept(layer));
    }

    @Test
    @DisplayName("prunes gradually by gradients that it asks for meanwhile, for good")
    void graduallyByImportance() {
        var model = new Two();
        var data = Dataset.of(Tensors.randn(8, 6), Tensors.randn(8, 4));
        var importance = Importance.gradient(model, Losses.mse(), new DataLoader(data, 8));
        float[] scores = Tensors.floats(importance.scores(weight(model.a).getFirst()));

        var pruning =
                DynamicPruning.gradual(importance, weight(model.a), Schedule.linear(0, 0.5, 2));
        pruning.update(1);
        pruning.update(2);
        pruning.freeze();

        float[] mask = Tensors.floats(model.a.buffer("weight_mask"));
        float[] sorted = scores.clone();
        Arrays.sort(sorted);
        for (int i = 0; i < mask.length; i++) {
            if (scores[i] < sorted[7]) {
                assertEquals(0, mask[i], "what went first does not return");
            }
        }
        assertEquals(15, kept(model.a));
    }

    @Test
    @DisplayName("a copy is pruned on by itself, from the same masks and scores")
    void copies() {
        var model = new Two();
        Tensor x = Tensors.randn(8, 6);
        Tensor y = Tensors.randn(8, 4);
        var schedule = Schedule.linear(0, 0.5, 4);
        var pruning = DynamicPruning.movement(Target.weights(model), schedule);
        step(model, x, y);
        pruning.update(1);

        Two copy = model.copy();
        var pruningOfCopy = DynamicPruning.movement(Target.weights(copy), schedule);
        assertTrue(Tensors.equal(model.call(x), copy.call(x)));
        for (int n = 2; n <= 4; n++) {
            step(model, x, y);
            pruning.update(n);
            step(copy, x, y);
            pruningOfCopy.update(n);
        }

        assertTrue(Tensors.equal(model.a.weight(), copy.a.weight()));
        assertTrue(Tensors.equal(model.b.buffer("weight_scores"), copy.b.buffer("weight_scores")));
        assertEquals(25, kept(copy.a) + kept(copy.b));
    }

    @Test
    @DisplayName("begins from the mask of a pruned parameter")
    void beginsFromMask() {
        var layer = new Linear(6, 5);
        Prune.l1Unstructured(layer, "weight", 0.5);
        Tensor before = layer.weight().clone();
        DynamicPruning.magnitude(weight(layer), Schedule.oneShot(0.9));
        assertTrue(Tensors.equal(before, layer.weight()));
    }

    @Test
    @DisplayName("wrong use is named and changes nothing")
    void wrongUse() {
        var layer = new Linear(6, 5);
        var schedule = Schedule.oneShot(0.5);
        var good = new Target(layer, "weight");
        assertTrue(
                messageOf(() -> DynamicPruning.magnitude(List.of(), schedule))
                        .contains("at least one"));
        assertTrue(
                messageOf(() -> DynamicPruning.magnitude(List.of(good, good), schedule))
                        .contains("listed twice"));
        assertTrue(
                messageOf(() ->
                                DynamicPruning.movement(
                                        List.of(good, new Target(layer, "wieght")), schedule))
                        .contains("wieght"));
        assertEquals(List.of(), layer.parametrizedNames());

        Importance wrong =
                targets ->
                        targets.stream()
                                .collect(
                                        Collectors.toMap(
                                                target -> target,
                                                target -> Tensors.ones(2, 2),
                                                (one, other) -> one,
                                                LinkedHashMap::new));
        for (Importance each : List.of(wrong, wrong.times(Importance.magnitude()))) {
            var byWrong = DynamicPruning.gradual(each, List.of(good), schedule);
            assertTrue(
                    messageOf(() -> byWrong.update(0)).contains("give one score for each entry"));
            byWrong.freeze();
        }
        Importance none = targets -> new LinkedHashMap<>();
        var byNone = DynamicPruning.gradual(none, List.of(good), schedule);
        assertTrue(messageOf(() -> byNone.update(0)).contains("gives no scores for 'weight'"));
        byNone.freeze();
        Prune.remove(layer, "weight");

        var pruning = DynamicPruning.magnitude(List.of(good), schedule);
        assertTrue(messageOf(() -> pruning.every(0)).contains("every 0"));
        assertTrue(
                messageOf(() -> Prune.l1Unstructured(layer, "weight", 0.5))
                        .contains("freeze its DynamicPruning first"));
        pruning.freeze();
        assertTrue(messageOf(() -> pruning.update(1)).contains("any more"));
        assertTrue(messageOf(pruning::freeze).contains("any more"));
    }
}
