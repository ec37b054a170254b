package io.espalier.quant;

import static io.espalier.Errors.messageOf;
import static io.espalier.quant.QatNetwork.CHAINS;
import static io.espalier.quant.QatNetwork.network;
import static io.espalier.quant.QatNetwork.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.data.Dataset;
import io.espalier.nn.Sequential;
import io.espalier.quant.observer.MinMaxObserver;
import io.espalier.quant.observer.MovingAverageMinMaxObserver;
import io.espalier.quant.observer.Observer;
import io.espalier.quant.observer.ObserverSettings;
import io.espalier.quant.observer.Qscheme;
import io.espalier.quant.observer.QuantizedType;
import io.espalier.quant.qat.LearnableFakeQuantize;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;
import io.espalier.train.Evaluator;
import io.espalier.train.Losses;
import io.espalier.train.Metrics;
import io.espalier.train.Optimizers;
import io.espalier.train.Trainer;
import io.espalier.train.TrainingEvent;
import io.espalier.train.TrainingResult;

import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Stopping and going on, and looking at the integers on the way. */
class QatCheckpointTest {
    private int threads;
    private Dataset data;

    @BeforeEach
    void setUp() {
        threads = Libtorch.threads();
        Libtorch.threads(1);
        Libtorch.seed(11);
        Tensor x = Tensors.randn(96, 1, 6, 6);
        data = Dataset.of(x, x.view(96, 2, 18).sum(2).argmax(new LongOptional(1), false));
    }

    @AfterEach
    void threadsAsBefore() {
        Libtorch.threads(threads);
    }

    private static QConfig learned() {
        ObserverSettings weights =
                MinMaxObserver.with()
                        .dtype(QuantizedType.QINT8)
                        .qscheme(Qscheme.PER_TENSOR_SYMMETRIC)
                        .quantRange(-8, 7);
        return new QConfig(
                LearnableFakeQuantize.with(MovingAverageMinMaxObserver.with()),
                LearnableFakeQuantize.with(weights));
    }

    private Sequential prepared(QConfig qconfig) {
        Libtorch.seed(4);
        Sequential model = network();
        Quantization.fuseModulesQat(model, CHAINS);
        model.qconfig(qconfig);
        Quantization.prepareQat(model, data.all().input().narrow(0, 0, 1));
        return model;
    }

    private Trainer trainer(Sequential model) {
        return Trainer.of(model, Losses.crossEntropy(), Optimizers.adam(model.parameters(), 0.01))
                .batchSize(16)
                .seed(2);
    }

    @ParameterizedTest
    @DisplayName("training stopped and resumed in a fresh model ends as if it had never stopped")
    @ValueSource(booleans = {false, true})
    void resumes(boolean scalesAreLearned, @TempDir Path folder) {
        QConfig qconfig = scalesAreLearned ? learned() : QConfig.qatForBackend("x86");
        Path file = folder.resolve("qat.checkpoint");
        Sequential whole = prepared(qconfig);
        trainer(whole).train(data, 3);

        Sequential first = prepared(qconfig);
        Trainer stopped = trainer(first).checkpointEvery(100, file);
        stopped.listen(event -> {
            if (event instanceof TrainingEvent.Step step && step.step() == 8) {
                stopped.stop();
            }
        });
        assertEquals(TrainingResult.End.STOPPED, stopped.train(data, 3).end());
        Sequential second = prepared(qconfig);
        trainer(second).resume(file).train(data, 3);

        Map<String, Tensor> resumed = second.stateDict();
        assertEquals(whole.stateDict().keySet(), resumed.keySet());
        whole.stateDict()
                .forEach((name, tensor) ->
                        assertTrue(
                                Tensors.equal(tensor, resumed.getOrDefault(name, tensor)), name));
        Tensor x = data.all().input();
        assertTrue(
                Tensors.equal(
                        Quantization.converted(whole).call(x),
                        Quantization.converted(second).call(x)));
    }

    @Test
    @DisplayName("an example puts the observers of inputs in at once, and is not observed")
    void example() {
        Sequential model = prepared(learned());

        assertTrue(model.stateDict().containsKey("0.activation_pre_process.scale"));
        assertFalse(((Observer) model.module("0.activation_pre_process")).hasObserved());
        assertFalse(((Observer) model.module("0.activation_post_process")).hasObserved());
        assertTrue(
                model.parameters()
                        .contains(model.module("0.activation_pre_process").parameter("scale")));
        Sequential calibrated = network();
        calibrated.eval();
        calibrated.qconfig(QConfig.forBackend("x86"));
        Quantization.prepare(calibrated, data.all().input());
        assertTrue(messageOf(() -> Quantization.convert(calibrated)).contains("has seen no data"));
        calibrated.call(data.all().input());
        Quantization.convert(calibrated);
    }

    @Test
    @DisplayName("an example that does not fit leaves the model as it was")
    void wrongExample() {
        Sequential model = network();
        model.qconfig(QConfig.qatForBackend("x86"));
        String before = model.toString();

        assertTrue(
                messageOf(() -> Quantization.prepareQat(model, Tensors.zeros(1, 3, 6, 6)))
                        .contains("the input must have 1 channels"));

        assertEquals(before, model.toString());
    }

    @Test
    @DisplayName(
            "a trainer evaluates the converted model on the way, and trains on the rounded one")
    void evaluatesIntegers() {
        Sequential model = prepared(QConfig.qatForBackend("x86"));
        Sequential plain = model.copy();
        List<Double> seen = new ArrayList<>();
        List<Double> expected = new ArrayList<>();

        Trainer trainer =
                trainer(model)
                        .evaluateEvery(4, data, Metrics.accuracy())
                        .evaluateAs(Quantization::converted);
        trainer.listen(event -> {
            if (event instanceof TrainingEvent.Evaluated evaluated) {
                seen.add(evaluated.scores().first());
                expected.add(Evaluator.accuracy(data).evaluate(Quantization.converted(model)));
            }
        });
        trainer.train(data, 2);
        trainer(plain).train(data, 2);

        assertEquals(4, seen.size());
        assertEquals(expected, seen);
        assertTrue(model.isTraining());
        assertTrue(
                Tensors.equal(
                        plain.module("4").parameter("weight"),
                        model.module("4").parameter("weight")));
    }

    @Test
    @DisplayName("a state of a prepared model loads, and training goes on from it alike")
    void loadsState() {
        Sequential model = prepared(QConfig.qatForBackend("x86"));
        train(model, 5, 0.05);
        Sequential other = prepared(QConfig.qatForBackend("x86"));
        other.parameters().forEach(p -> p.detach().mul_(new Scalar(0.5)));

        other.loadStateDict(model.stateDict());
        Libtorch.seed(5);
        double first = train(model, 3, 0.05);
        Libtorch.seed(5);
        double second = train(other, 3, 0.05);

        assertEquals(first, second);
    }
}
