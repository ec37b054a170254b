package io.espalier.train;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.data.DataLoader;
import io.espalier.data.Dataset;
import io.espalier.data.Mnist;
import io.espalier.nn.Functional;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Optimizer;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;

class TrainerTest {
    static final class Line extends Module {
        final Linear fc = add("fc", new Linear(3, 2));

        @Override
        protected Tensor forward(Tensor x) {
            return fc.call(x);
        }
    }

    static final class Digits extends Module {
        final Linear hidden = add("hidden", new Linear(784, 32));
        final Linear out = add("out", new Linear(32, 10));

        @Override
        protected Tensor forward(Tensor x) {
            return out.call(Functional.relu(hidden.call(x.flatten(1, -1))));
        }
    }

    static Dataset points(int count) {
        Tensor x = Tensors.randn(count, 3);
        return Dataset.of(x, x.narrow(1, 0, 2).contiguous());
    }

    @Test
    @DisplayName("a few hundred steps on MNIST make a classifier that gets most digits right")
    void learnsDigits() {
        Libtorch.seed(1);
        Digits model = new Digits();
        TrainingResult result =
                Trainer.of(
                                model,
                                Losses.crossEntropy(),
                                Optimizers.sgd(model.parameters(), 0.1, 0.9))
                        .evaluateEvery(100, Mnist.test().take(1000), Metrics.accuracy())
                        .train(Mnist.train().take(16_000), 1);
        assertEquals(250, result.steps());
        assertEquals(
                List.of(100L, 200L, 250L),
                result.evaluations().stream().map(Scores::step).toList());
        assertTrue(
                result.evaluations().getLast().get("accuracy") > 0.85,
                result.evaluations().toString());
    }

    @Test
    @DisplayName("makes the very steps of a loop written by hand, scheduled and clipped alike")
    void sameAsHandWritten() {
        Libtorch.seed(2);
        Line model = new Line();
        Line byHand = model.copy();
        Dataset data = points(20);
        Trainer.of(model, Losses.mse(), Optimizers.sgd(model.parameters(), 0.1, 0.9))
                .batchSize(8)
                .seed(5)
                .learningRate(LearningRate.linear(1, 0))
                .clipNorm(0.5)
                .train(data, 3);

        Optimizer optimizer = Optimizers.sgd(byHand.parameters(), 0.1, 0.9);
        var loader = new DataLoader(data, 8).shuffled(5);
        int step = 0;
        for (int epoch = 0; epoch < 3; epoch++) {
            for (var batch : loader) {
                try (var scope = new PointerScope()) {
                    optimizer.param_groups().get(0).options().set_lr(0.1 * (1 - step++ / 9.0));
                    optimizer.zero_grad();
                    Losses.mse().of(byHand.call(batch.input()), batch.target()).backward();
                    torch.clip_grad_norm_(
                            new TensorVector(byHand.parameters().toArray(new Tensor[0])), 0.5);
                    optimizer.step();
                }
            }
        }
        assertTrue(Tensors.equal(model.fc.weight(), byHand.fc.weight()));
    }

    @Test
    @DisplayName("tells listeners of every step, evaluation and end of an epoch, in order")
    void events() {
        Line model = new Line();
        var seen = new ArrayList<String>();
        Trainer.of(model, Losses.mse(), Optimizers.sgd(model.parameters(), 0.1))
                .batchSize(5)
                .evaluateEvery(2, points(4), Metrics.meanLoss(Losses.mse()))
                .listen(event ->
                        seen.add(
                                switch (event) {
                                    case TrainingEvent.Step s -> "step " + s.step();
                                    case TrainingEvent.EpochEnd e -> "end " + e.epoch();
                                    case TrainingEvent.Evaluated e -> "score " + e.scores().step();
                                    case TrainingEvent.Checkpointed c -> "saved " + c.step();
                                }))
                .train(points(15), 1);
        assertEquals(List.of("step 1", "step 2", "score 2", "step 3", "end 0", "score 3"), seen);
    }

    @Test
    @DisplayName("stops when the metric has not become better for as long as patience says")
    void patience() {
        Line model = new Line();
        TrainingResult result =
                Trainer.of(model, Losses.mse(), Optimizers.sgd(model.parameters(), 0.0))
                        .batchSize(4)
                        .evaluateEpochs(points(4), Metrics.meanLoss(Losses.mse()))
                        .patience(2, 0)
                        .train(points(8), 50);
        assertEquals(TrainingResult.End.NO_PROGRESS, result.end());
        assertEquals(3, result.epochs());
        assertEquals(2, result.best().orElseThrow().step());
    }

    @Test
    @DisplayName("stops after the current step when it is told to or its thread is interrupted")
    void stops() {
        Line model = new Line();
        var trainer =
                Trainer.of(model, Losses.mse(), Optimizers.sgd(model.parameters(), 0.1))
                        .batchSize(1);
        TrainingResult result =
                trainer.listen(
                                event -> {
                                    if (event instanceof TrainingEvent.Step s && s.step() == 3) {
                                        trainer.stop();
                                    }
                                })
                        .train(points(10), 2);
        assertEquals(TrainingResult.End.STOPPED, result.end());
        assertEquals(3, result.steps());

        Thread.currentThread().interrupt();
        assertEquals(TrainingResult.End.STOPPED, trainer.train(points(10), 2).end());
        assertTrue(Thread.interrupted());
    }

    @Test
    @DisplayName("leaves every module in the mode it was in, and frozen layers frozen")
    void modes() {
        Line model = new Line();
        model.fc.eval();
        var trainer =
                Trainer.of(model, Losses.mse(), Optimizers.sgd(model.parameters(), 0.1))
                        .evaluateEpochs(points(4), Metrics.meanLoss(Losses.mse()));
        trainer.train(points(4), 1);
        assertTrue(model.isTraining());
        assertFalse(model.fc.isTraining());
        model.eval();
        trainer.train(points(4), 1);
        assertFalse(model.isTraining());
    }

    @Test
    @DisplayName("a loss that is no number ends the training before it reaches the weights")
    void notFinite() {
        Line model = new Line();
        Tensor before = model.fc.weight().detach().clone();
        var trainer =
                Trainer.of(
                        model,
                        (output, target) -> output.sum().div(Tensors.zeros(1)).sum(),
                        Optimizers.sgd(model.parameters(), 0.1));
        String message = messageOf(() -> trainer.train(points(4), 1));
        assertTrue(message.contains(" in step 1 at a learning rate of 0.1;"), message);
        assertTrue(Tensors.equal(before, model.fc.weight()));
    }

    @Test
    @DisplayName("a step that can't be made is one line, with the step's number")
    void impossibleStep() {
        Line model = new Line();
        var trainer =
                Trainer.of(
                        model, (output, target) -> output, Optimizers.sgd(model.parameters(), 0.1));
        String message = messageOf(() -> trainer.train(points(4), 1));
        assertTrue(message.startsWith("Step 1 of the training: "), message);
    }

    @Test
    @DisplayName("a loss that depends on nothing that trains is refused, and no step is made")
    void independentLoss() {
        Line model = new Line();
        Tensor before = model.fc.weight().detach().clone();
        var trainer =
                Trainer.of(
                        model,
                        (output, target) -> output.detach().sum(),
                        Optimizers.sgd(model.parameters(), 0.1));
        String message = messageOf(() -> trainer.train(points(4), 1));
        assertTrue(message.contains("depends on no parameter that trains, in step 1"), message);
        assertTrue(Tensors.equal(before, model.fc.weight()));
    }

    @Test
    @DisplayName("an evaluation that gives no number is worse than any that does")
    void notANumber() {
        Line model = new Line();
        var calls = new AtomicInteger();
        Metric metric =
                Metrics.mean(
                        "sometimes",
                        true,
                        (output, target) -> calls.incrementAndGet() == 2 ? 4 : Double.NaN);
        TrainingResult result =
                Trainer.of(model, Losses.mse(), Optimizers.sgd(model.parameters(), 0.1))
                        .evaluateEpochs(points(4), metric)
                        .train(points(4), 3);
        assertEquals(2, result.best().orElseThrow().step());
    }

    @Test
    @DisplayName("a setting made during a training holds for the next")
    void settingsDuringTraining() {
        Line model = new Line();
        var trainer = Trainer.of(model, Losses.mse(), Optimizers.sgd(model.parameters(), 0.1));
        var heard = new AtomicInteger();
        trainer.batchSize(2);
        trainer.listen(event -> {
            if (event instanceof TrainingEvent.Step step && step.step() == 1) {
                trainer.batchSize(4).listen(later -> heard.incrementAndGet());
            }
        });
        assertEquals(2, trainer.train(points(4), 1).steps());
        assertEquals(0, heard.get());
        assertEquals(1, trainer.train(points(4), 1).steps());
        assertEquals(2, heard.get(), "the step and the epoch's end");
    }

    @Test
    @DisplayName("settings out of range and nothing to train on are named")
    void wrongUse() {
        Line model = new Line();
        var trainer = Trainer.of(model, Losses.mse(), Optimizers.sgd(model.parameters(), 0.1));
        assertEquals(
                "The batch size must be 1 or more; asked for 0.",
                messageOf(() -> trainer.batchSize(0)));
        assertEquals(
                "Nothing to train on: a dataset of 0 examples gives no batch of 64.",
                messageOf(() -> trainer.train(points(4).take(0), 1)));
        assertEquals(
                "Patience needs an evaluation to look at; call evaluateEvery or evaluateEpochs.",
                messageOf(() -> trainer.patience(1, 0).train(points(4), 1)));
    }
}
