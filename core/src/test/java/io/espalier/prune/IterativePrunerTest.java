package io.espalier.prune;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.data.Dataset;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.Sequential;
import io.espalier.prune.DynamicPruningTest.Two;
import io.espalier.prune.PruningResult.End;
import io.espalier.prune.PruningResult.Round;
import io.espalier.tensor.Tensors;
import io.espalier.train.Losses;
import io.espalier.train.Optimizers;
import io.espalier.train.Trainer;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

class IterativePrunerTest {
    private static final Schedule FOUR = Schedule.linear(0, 0.8, 4);

    @TempDir Path checkpoints;

    private final Two model = new Two();
    private final List<Two> afterTuning = new ArrayList<>();
    private Two given = model;

    @BeforeEach
    void remember() {
        given = model.copy();
    }

    /** Fine-tuning that can be told from the model and from no fine-tuning. */
    private void shift(Module tuned) {
        tuned.parameters().forEach(p -> p.detach().mul_(new Scalar(1.01)));
        afterTuning.add(tuned.copy());
    }

    private IterativePruner pruner() {
        return IterativePruner.of(model).schedule(FOUR).fineTune(this::shift);
    }

    private static void assertSameState(Module expected, Module actual) {
        assertEquals(
                List.copyOf(expected.stateDict().keySet()),
                List.copyOf(actual.stateDict().keySet()));
        var state = actual.stateDict();
        expected.stateDict()
                .forEach((name, tensor) ->
                        assertTrue(
                                Tensors.equal(tensor, state.getOrDefault(name, tensor.neg())),
                                name));
    }

    private void assertSaved(Module expected) {
        var loaded = new Two();
        loaded.load(checkpoints.resolve("best.safetensors"));
        assertSameState(expected, loaded);
    }

    @Test
    @DisplayName("reaches the target round by round, and its file is the model")
    void reachesTarget() {
        List<Round> heard = new ArrayList<>();
        PruningResult result = pruner().evaluate(m -> 0.5).listen(heard::add).run(checkpoints);

        assertEquals(End.TARGET_REACHED, result.end());
        assertSame(model, result.model());
        assertEquals(0.8, result.sparsity(), 1e-9);
        assertEquals(
                List.of(
                        new Round(1, 0.2, 0.5, true),
                        new Round(2, 0.4, 0.5, true),
                        new Round(3, 0.6, 0.5, true),
                        new Round(4, 0.8, 0.5, true)),
                result.rounds());
        assertEquals(result.rounds(), heard);
        assertSaved(model);
        assertEquals(
                """
                round  sparsity  metric
                    0            0.5000  before
                    1   20.00 %  0.5000  kept
                    2   40.00 %  0.5000  kept
                    3   60.00 %  0.5000  kept
                    4   80.00 %  0.5000  kept
                reached the target: 80.00 % sparse, metric 0.5000, before 0.5000\
                """,
                result.toString().replace(System.lineSeparator(), "\n"));
    }

    @Test
    @DisplayName("a round over budget ends it with the model of the round before")
    void keepsWithinBudget() {
        double[] metrics = {0.9, 0.897, 0.895, 0.88};
        int[] asked = {0};
        PruningResult result =
                pruner().keepWithin(0.006, m -> metrics[asked[0]++]).run(checkpoints);

        assertEquals(End.BUDGET_EXCEEDED, result.end());
        assertEquals(3, result.rounds().size());
        assertFalse(result.rounds().getLast().kept());
        assertEquals(0.4, result.sparsity(), 1e-9);
        assertEquals(0.895, result.after());
        assertSameState(afterTuning.get(1), model);
        assertSaved(afterTuning.get(1));

        // Asked again, it knows the answer.
        var again = IterativePruner.of(given).schedule(FOUR).keepWithin(0.006, m -> 0.9);
        PruningResult same = again.run(checkpoints);
        assertEquals(result.rounds(), same.rounds());
        assertEquals(End.BUDGET_EXCEEDED, same.end());
        assertSameState(afterTuning.get(1), given);
    }

    @Test
    @DisplayName("fine-tuning that takes masks off is refused, and the model is as it was given")
    void fineTuningUnmasks() {
        var fineTuned = IterativePruner.of(model).schedule(FOUR);
        String message =
                messageOf(() ->
                        fineTuned
                                .fineTune(tuned -> Prune.remove(model.a, "weight"))
                                .run(checkpoints));
        assertTrue(message.startsWith("Fine-tuning took masks off: 20.00 % of the "), message);
        assertSameState(given, model);

        // A trainer that resumes in each round brings back the masks of its checkpoint.
        Path checkpoint = checkpoints.resolve("training.safetensors");
        var data = Dataset.of(Tensors.randn(20, 6), Tensors.randn(20, 4));
        DynamicPruning.gradual(Target.weights(model), Schedule.oneShot(0.1)).freeze();
        var trainer = Trainer.of(model, Losses.mse(), Optimizers.sgd(model.parameters(), 0.1));
        trainer.checkpointEvery(1, checkpoint).train(data, 1);
        assertTrue(
                messageOf(() ->
                                fineTuned
                                        .fineTune(trainer.resume(checkpoint), data, 2)
                                        .run(checkpoints.resolve("more")))
                        .startsWith("Fine-tuning took masks off: "));
    }

    @Test
    @DisplayName("what the trainer that fine-tunes warns of is in the result, once")
    void warnings() {
        var optimizer = Optimizers.sgd(model.a.parameters(), 0.1);
        var data = Dataset.of(Tensors.randn(20, 6), Tensors.randn(20, 4));
        PruningResult result =
                IterativePruner.of(model)
                        .schedule(FOUR)
                        .fineTune(Trainer.of(model, Losses.mse(), optimizer), data, 1)
                        .run(checkpoints);
        assertEquals(0.8, result.sparsity(), 1e-9);
        assertEquals(1, result.warnings().size());
        assertTrue(result.warnings().getFirst().contains("b.weight_orig"), result.toString());
    }

    @Test
    @DisplayName("a first round over budget leaves the model as it was given, without a mask")
    void missesAtOnce() {
        double[] metrics = {0.9, 0.1};
        int[] asked = {0};
        PruningResult result = pruner().keepWithin(0, m -> metrics[asked[0]++]).run(checkpoints);
        assertEquals(0, result.sparsity());
        assertEquals(0.9, result.after());
        assertFalse(Prune.isPruned(model));
        assertSameState(given, model);
        assertSaved(given);
    }

    @Test
    @DisplayName("a round over budget may be fine-tuned again")
    void triesAgain() {
        double[] metrics = {0.9, 0.9, 0.7, 0.8, 0.9, 0.9, 0.9};
        int[] asked = {0};
        PruningResult result =
                pruner().retries(2).keepWithin(0.05, m -> metrics[asked[0]++]).run(checkpoints);
        assertEquals(End.TARGET_REACHED, result.end());
        assertEquals(6, afterTuning.size());
    }

    @Test
    @DisplayName(
            "when the evaluator fails, the best model stands and lies saved, and it goes on from"
                    + " there")
    void evaluatorFails() {
        int[] asked = {0};
        IterativePruner pruner =
                pruner().evaluate(m -> {
                    if (asked[0]++ == 3) {
                        throw new IllegalStateException("no disk");
                    }
                    return 0.9;
                });
        assertEquals(
                "no disk",
                assertThrows(IllegalStateException.class, () -> pruner.run(checkpoints))
                        .getMessage());
        assertSameState(afterTuning.get(1), model);
        assertSaved(afterTuning.get(1));

        PruningResult result = pruner.run(checkpoints);
        assertEquals(End.TARGET_REACHED, result.end());
        assertEquals(List.of(1, 2, 3, 4), result.rounds().stream().map(Round::number).toList());
        assertEquals(5, afterTuning.size(), "rounds 1 and 2 are not repeated");
        assertSaved(model);
    }

    @Test
    @DisplayName("when fine-tuning fails in the first round, the model is as it was given")
    void fineTuningFails() {
        IterativePruner pruner =
                pruner().fineTune(m -> {
                    shift(m);
                    throw new IllegalStateException("diverged");
                });
        assertThrows(IllegalStateException.class, () -> pruner.run(checkpoints));
        assertSameState(given, model);
        assertSaved(given);
    }

    @Test
    @DisplayName(
            "an interrupted run gives and saves the best so far, and another process goes on from"
                    + " it")
    void interrupted() {
        PruningResult stopped =
                pruner().fineTune(
                                m -> {
                                    shift(m);
                                    if (afterTuning.size() == 3) {
                                        Thread.currentThread().interrupt();
                                    }
                                })
                        .run(checkpoints);
        assertTrue(Thread.interrupted(), "the interrupt is passed on");
        assertEquals(End.STOPPED, stopped.end());
        assertEquals(2, stopped.rounds().size());
        assertSameState(afterTuning.get(1), model);
        assertSaved(afterTuning.get(1));

        PruningResult result =
                IterativePruner.of(given).schedule(FOUR).fineTune(this::shift).run(checkpoints);
        assertEquals(End.TARGET_REACHED, result.end());
        assertEquals(0.8, result.sparsity(), 1e-9);
        assertEquals(5, afterTuning.size());
    }

    @Test
    @DisplayName("an interrupt while the last evaluation runs does not lose the round")
    void interruptedBeforeSaving() {
        PruningResult result =
                IterativePruner.of(model)
                        .schedule(Schedule.oneShot(0.5))
                        .fineTune(this::shift)
                        .evaluate(m -> {
                            if (!afterTuning.isEmpty()) {
                                Thread.currentThread().interrupt();
                            }
                            return 1;
                        })
                        .run(checkpoints);
        assertTrue(Thread.interrupted());
        assertEquals(0.5, result.sparsity(), 1e-9);
        assertSaved(model);
    }

    @Test
    @DisplayName("stops when told to")
    void stops() {
        IterativePruner pruner = pruner();
        pruner.listen(round -> {
            if (round.number() == 3) {
                pruner.stop();
            }
        });
        PruningResult result = pruner.run(checkpoints);
        assertEquals(End.STOPPED, result.end());
        assertEquals(0.6, result.sparsity(), 1e-9);
        assertTrue(Double.isNaN(result.after()));
    }

    @Test
    @DisplayName("prunes each layer by itself, also whole channels, and by any importance")
    void ways() {
        IterativePruner.of(model)
                .schedule(Schedule.oneShot(0.5))
                .perLayer(L1Unstructured::new)
                .importance(Importance.random(1))
                .run(checkpoints.resolve("a"));
        assertEquals(15, model.a.buffer("weight_mask").sum().item_double());
        assertEquals(10, model.b.buffer("weight_mask").sum().item_double());

        IterativePruner.of(given)
                .targets(List.of(new Target(given.a, "weight")))
                .schedule(Schedule.linear(0, 0.4, 2))
                .perLayer(amount -> new LnStructured(amount, 2, 0))
                .run(checkpoints.resolve("b"));
        Tensor rows = given.a.buffer("weight_mask").sum(1);
        assertEquals(2, rows.eq(new Scalar(0)).sum().item_double());
        assertFalse(given.b.hasBuffer("weight_mask"));

        var third = new Two();
        IterativePruner.of(third)
                .schedule(Schedule.oneShot(0.5))
                .importance(Importance.lamp())
                .run(checkpoints.resolve("c"));
        assertEquals(0.5, Sparsity.of(third).only("weight").sparsity(), 1e-9);
    }

    @Test
    @DisplayName("fine-tunes with a trainer, whose optimizer holds on to the same parameters")
    void withTrainer() {
        var data = Dataset.of(Tensors.randn(40, 6), Tensors.randn(40, 4));
        var optimizer = Optimizers.sgd(model.parameters(), 0.05, 0.9);
        var trainer = Trainer.of(model, Losses.mse(), optimizer).batchSize(10);
        PruningResult result =
                IterativePruner.of(model)
                        .schedule(FOUR)
                        .fineTune(trainer, data, 2)
                        .evaluate(m ->
                                -Losses.mse()
                                        .of(m.call(data.all().input()), data.all().target())
                                        .item_double())
                        .run(checkpoints);
        assertEquals(0.8, result.sparsity(), 1e-9);
        assertTrue(result.after() > -2);
        assertFalse(Tensors.equal(given.b.value("bias"), model.b.value("bias")));
    }

    @Test
    @DisplayName("a directory of another run, or with another model, is refused and left alone")
    void otherRun() throws Exception {
        pruner().run(checkpoints);
        Path file = checkpoints.resolve("best.safetensors");
        byte[] before = Files.readAllBytes(file);
        Two copy = given.copy();
        assertTrue(
                messageOf(() ->
                                IterativePruner.of(copy)
                                        .schedule(Schedule.linear(0, 0.9, 4))
                                        .run(checkpoints))
                        .contains("other settings"));
        assertSameState(given, copy);
        assertEquals(before.length, Files.size(file));

        given.save(file);
        assertTrue(
                messageOf(() -> IterativePruner.of(copy).schedule(FOUR).run(checkpoints))
                        .contains("not of a run"));
    }

    @Test
    @DisplayName("a wrong budget, a wrong count and a model without weights are named")
    void wrongUse() {
        assertTrue(messageOf(() -> pruner().keepWithin(-1, m -> 0)).contains("-1.0"));
        assertTrue(messageOf(() -> pruner().retries(-1)).contains("-1"));
        assertTrue(
                messageOf(() -> IterativePruner.of(new Module() {}).run(checkpoints))
                        .contains("no parameter of 2 or more dimensions"));
        assertTrue(
                messageOf(() ->
                                IterativePruner.of(model)
                                        .targets(
                                                List.of(
                                                        new Target(model.a, "weight"),
                                                        new Target(model.a, "wieght")))
                                        .run(checkpoints))
                        .contains("wieght"));
        assertFalse(Files.exists(checkpoints.resolve("best.safetensors")));
    }

    @Test
    @DisplayName("A budget needs a metric that is a number")
    void noMetric() {
        var model = new Sequential(new Linear(4, 8));
        String message =
                messageOf(() ->
                        IterativePruner.of(model)
                                .schedule(Schedule.linear(0, 0.9, 3))
                                .keepWithin(0.01, measured -> Double.NaN)
                                .fineTune(tuned -> {})
                                .run(checkpoints.resolve("nan")));
        assertTrue(message.contains("is NaN before anything is pruned"), message);
    }
}
