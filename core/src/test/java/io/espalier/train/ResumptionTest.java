package io.espalier.train;

import static io.espalier.Errors.messageOf;
import static io.espalier.train.SmallTraining.assertSame;
import static io.espalier.train.SmallTraining.stateOf;
import static io.espalier.train.SmallTraining.stopAt;
import static io.espalier.train.SmallTraining.trainer;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.data.DataLoader;
import io.espalier.data.Dataset;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;
import io.espalier.train.SmallTraining.UpdateRule;

import org.bytedeco.pytorch.Optimizer;
import org.bytedeco.pytorch.OptimizerParamGroup;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

class ResumptionTest {
    @TempDir Path directory;
    private int threads;

    @BeforeEach
    void oneThread() {
        threads = Libtorch.threads();
        Libtorch.threads(1);
    }

    @AfterEach
    void threadsAsBefore() {
        Libtorch.threads(threads);
    }

    private Path file() {
        return directory.resolve("training.safetensors");
    }

    /** A network set up as the others, with other weights and an empty mask. */
    private static SmallNet otherwise() {
        SmallNet net = SmallNet.masked();
        net.stateDict().values().forEach(Tensor::zero_);
        return net;
    }

    @ParameterizedTest
    @EnumSource(UpdateRule.class)
    @DisplayName("a training stopped in mid-epoch and resumed elsewhere ends as one never stopped")
    void resumesExactly(UpdateRule rule) {
        Dataset data = SmallNet.examples(50);
        SmallNet straight = SmallNet.masked();
        Trainer straightTrainer = trainer(straight, rule).keepBest();
        Libtorch.seed(5);
        TrainingResult expected = straightTrainer.train(data, 3);

        SmallNet stopped = SmallNet.masked();
        Trainer first = trainer(stopped, rule).keepBest().checkpointEvery(100, file());
        Libtorch.seed(5);
        assertEquals(TrainingResult.End.STOPPED, stopAt(first, 10).train(data, 3).end());

        SmallNet resumed = otherwise();
        Trainer second = trainer(resumed, rule).keepBest().resume(file());
        Libtorch.seed(99);
        TrainingResult result = second.train(data, 3);
        assertEquals(expected, result);
        assertEquals(21, result.steps());
        assertSame(straight.stateDict(), resumed.stateDict());
    }

    @Test
    @DisplayName("a checkpoint of an ended training is its end")
    void ended() {
        Dataset data = SmallNet.examples(50);
        SmallNet net = SmallNet.masked();
        var seen = new ArrayList<Long>();
        TrainingResult result =
                trainer(net, UpdateRule.ADAM)
                        .checkpointEvery(4, file())
                        .listen(event -> {
                            if (event instanceof TrainingEvent.Checkpointed written) {
                                seen.add(written.step());
                            }
                        })
                        .train(data, 2);
        assertEquals(List.of(4L, 8L, 12L, 14L), seen);
        SmallNet again = SmallNet.masked();
        assertEquals(result, trainer(again, UpdateRule.ADAM).resume(file()).train(data, 2));
        assertSame(net.stateDict(), again.stateDict());
        assertEquals(
                21,
                trainer(again, UpdateRule.ADAM).resume(file()).train(data, 3).steps(),
                "goes on");
    }

    @Test
    @DisplayName("an interrupted training writes its checkpoint too")
    void interrupted() {
        SmallNet net = SmallNet.masked();
        TrainingResult result =
                trainer(net, UpdateRule.SGD)
                        .checkpointEvery(100, file())
                        .listen(event -> Thread.currentThread().interrupt())
                        .train(new DataLoader(SmallNet.examples(50), 8).shuffled(2).ahead(2), 1);
        assertTrue(Thread.interrupted());
        assertEquals(TrainingResult.End.STOPPED, result.end());
        assertEquals(1, result.steps());
        SmallNet resumed = otherwise();
        assertEquals(
                7,
                trainer(resumed, UpdateRule.SGD)
                        .resume(file())
                        .train(SmallNet.examples(50), 1)
                        .steps());
    }

    @Test
    @DisplayName("a checkpoint that does not fit is refused with the reason, and nothing changes")
    void misfits() {
        Dataset data = SmallNet.examples(50);
        trainer(SmallNet.masked(), UpdateRule.ADAM).checkpointEvery(4, file()).train(data, 1);
        SmallNet net = SmallNet.masked();
        SmallNet unmasked = new SmallNet();
        Map<String, Tensor> before = stateOf(net);
        Map<String, Trainer> wrong = new LinkedHashMap<>();
        wrong.put(
                "is on 50 examples in batches of 5 shuffled with seed 2, that one was on 50"
                        + " examples in batches of 8 shuffled with seed 2",
                trainer(net, UpdateRule.ADAM).batchSize(5));
        wrong.put("is moved by SGD, that one was by Adam", trainer(net, UpdateRule.SGD));
        wrong.put(
                "keeps the best model, that one did not", trainer(net, UpdateRule.ADAM).keepBest());
        wrong.put(
                "moves first.weight [16, 6] where that one moved first.bias [16]",
                trainer(unmasked, UpdateRule.ADAM));
        wrong.put(
                "moves 1 parameters in 1 groups, that one moved 6 in 1",
                Trainer.of(
                                net,
                                Losses.crossEntropy(),
                                Optimizers.adam(List.of(net.last.parameter("bias")), 0.1))
                        .batchSize(8)
                        .seed(2));
        Libtorch.seed(8);
        Tensor random = Tensors.rand(3);
        Libtorch.seed(8);
        wrong.forEach((reason, trainer) ->
                assertEquals(
                        "Can't resume from "
                                + file()
                                + ": this training "
                                + reason
                                + "; set it up the same, or start anew.",
                        messageOf(() -> trainer.resume(file()).train(data, 1))));
        assertSame(before, net.stateDict());
        assertTrue(Tensors.equal(random, Tensors.rand(3)), "the generator");
    }

    @Test
    @DisplayName("a checkpoint of another model is refused with the reason")
    void otherModel() {
        final class Frozen extends Module {
            final Linear fc = add("fc", new Linear(6, 3));

            Frozen(int size) {
                add("more", new Linear(size, size));
            }

            @Override
            protected Tensor forward(Tensor x) {
                return fc.call(x);
            }

            Trainer trainer() {
                return Trainer.of(
                        this,
                        Losses.crossEntropy(),
                        Optimizers.sgd(List.of(fc.parameter("weight"), fc.parameter("bias")), 0.1));
            }
        }
        Dataset data = SmallNet.examples(16);
        new Frozen(3).trainer().checkpointEvery(1, file()).train(data, 1);
        var larger = new Frozen(4);
        Map<String, Tensor> before = stateOf(larger);
        String message = messageOf(() -> larger.trainer().resume(file()).train(data, 1));
        assertTrue(message.startsWith("Can't resume from " + file() + ": "), message);
        assertTrue(message.contains("more.weight"), message);
        assertSame(before, larger.stateDict());
    }

    @Test
    @DisplayName("a folder that is not there is named before anything is trained")
    void noFolder() {
        SmallNet net = SmallNet.masked();
        Map<String, Tensor> before = stateOf(net);
        Path nowhere = directory.resolve("no").resolve("c.safetensors");
        assertEquals(
                "Can't write checkpoints to "
                        + nowhere
                        + ": no folder "
                        + nowhere.getParent()
                        + " that may be written to.",
                messageOf(() ->
                        trainer(net, UpdateRule.SGD)
                                .checkpointEvery(1, nowhere)
                                .train(SmallNet.examples(16), 1)));
        assertSame(before, net.stateDict());
        assertFalse(Files.exists(nowhere));
    }

    /** A training in which the first bias trains from the second epoch on. */
    private Trainer thawing(SmallNet net) {
        net.first.parameter("bias").set_requires_grad(false);
        return trainer(net, UpdateRule.ADAM)
                .checkpointEvery(100, file())
                .listen(event -> {
                    if (event instanceof TrainingEvent.EpochEnd) {
                        net.first.parameter("bias").set_requires_grad(true);
                    }
                });
    }

    @Test
    @DisplayName("a parameter that no step had moved yet goes on as one that no step has moved")
    void thawed() {
        Dataset data = SmallNet.examples(50);
        SmallNet straight = SmallNet.masked();
        Trainer whole = thawing(straight);
        Libtorch.seed(5);
        whole.train(data, 3);
        Trainer stopped = stopAt(thawing(SmallNet.masked()), 5);
        Libtorch.seed(5);
        stopped.train(data, 3);
        SmallNet resumed = otherwise();
        thawing(resumed).resume(file()).train(data, 3);
        assertSame(straight.stateDict(), resumed.stateDict());
    }

    @Test
    @DisplayName("an optimizer that has moved more than the checkpoint's is refused")
    void movedAlready() {
        Dataset data = SmallNet.examples(50);
        SmallNet net = SmallNet.masked();
        Trainer trainer = thawing(net);
        trainer.train(data, 1);
        Path early = file();
        trainer.checkpointEvery(100, directory.resolve("late.safetensors")).train(data, 1);
        Map<String, Tensor> before = stateOf(net);
        assertEquals(
                "Can't resume from "
                        + early
                        + ": this training's optimizer has moved first.bias already, and that one"
                        + " had not; make the optimizer anew.",
                messageOf(() -> trainer.resume(early).train(data, 3)));
        assertSame(before, net.stateDict());
    }

    private static Trainer ofGroups(SmallNet net, AdamSettings first, AdamSettings last) {
        Optimizer optimizer = Optimizers.adam(net.first.parameters(), 0.5);
        optimizer.param_groups().get(0).set_options(first.adamOptions());
        optimizer.add_param_group(group(net.last, last));
        optimizer.add_param_group(group(net.norm, last));
        return Trainer.of(net, Losses.crossEntropy(), optimizer).batchSize(8).seed(2);
    }

    private static OptimizerParamGroup group(Module module, AdamSettings settings) {
        return new OptimizerParamGroup(
                new TensorVector(module.parameters().toArray(new Tensor[0])),
                settings.adamOptions());
    }

    @Test
    @DisplayName("each group of parameters goes on with the options that it had")
    void groups() {
        Dataset data = SmallNet.examples(50);
        AdamSettings first = AdamSettings.of(0.02).betas(0.7, 0.95).amsgrad(true);
        AdamSettings last = AdamSettings.of(0.003).epsilon(1e-3).weightDecay(0.1);
        SmallNet straight = SmallNet.masked();
        Libtorch.seed(5);
        ofGroups(straight, first, last).train(data, 3);
        SmallNet stopped = SmallNet.masked();
        Trainer begun = stopAt(ofGroups(stopped, first, last).checkpointEvery(100, file()), 9);
        Libtorch.seed(5);
        begun.train(data, 3);
        SmallNet resumed = otherwise();
        AdamSettings other = AdamSettings.of(0.5);
        ofGroups(resumed, other, other).resume(file()).train(data, 3);
        assertSame(straight.stateDict(), resumed.stateDict());
    }
}
