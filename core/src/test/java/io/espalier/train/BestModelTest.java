package io.espalier.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.data.Dataset;
import io.espalier.nn.Module;
import io.espalier.quant.QConfig;
import io.espalier.quant.Quantization;
import io.espalier.quant.qat.FakeQuantize;
import io.espalier.tensor.EspalierException;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.List;

class BestModelTest {
    @Test
    @DisplayName("the best model is left behind where it is to be kept, also if it gets worse")
    void keepsBest() {
        Dataset data = SmallNet.examples(64);
        SmallNet net = SmallNet.masked();
        Evaluator accuracy = Evaluator.accuracy(data);
        TrainingResult result =
                Trainer.of(net, Losses.crossEntropy(), Optimizers.sgd(net.parameters(), 0.1))
                        // Good steps first, then ever larger ones.
                        .learningRate(position -> position.step() < 30 ? 1 : 100 * position.step())
                        .evaluateEvery(5, data, Metrics.accuracy())
                        .keepBest()
                        .batchSize(8)
                        .train(data, 10);
        double best = result.best().orElseThrow().first();
        assertTrue(best > result.evaluations().getLast().first(), result.toString());
        assertEquals(best, accuracy.evaluate(net));
        assertThrows(EspalierException.class, () -> result.best().orElseThrow().get("loss"));
    }

    @Test
    @DisplayName("only evaluations since a listener last masked more count as the best")
    void bestOfLastMasks() {
        Dataset data = SmallNet.examples(64);
        SmallNet net = SmallNet.masked();
        TrainingResult result =
                trainer(net)
                        .listen(event -> maskAll(event, net, 20))
                        .evaluateEvery(4, data, Metrics.accuracy())
                        .keepBest()
                        .train(data, 5);
        assertEquals(0, net.first.buffer("weight_mask").count_nonzero().item_long());
        assertEquals(List.of(), result.warnings());
        Scores best = result.best().orElseThrow();
        assertTrue(best.step() >= 20, result.toString());
        assertEquals(best.first(), Evaluator.accuracy(data).evaluate(net));
        assertTrue(best.first() < result.evaluations().getFirst().first(), "a better one before");
    }

    @Test
    @DisplayName("says that the best model is not kept where it was masked after all evaluations")
    void maskedLast() {
        Dataset data = SmallNet.examples(64);
        SmallNet net = SmallNet.masked();
        Trainer trainer = trainer(net);
        TrainingResult result =
                trainer.listen(event -> maskAll(event, net, 11))
                        .listen(event -> {
                            if (event instanceof TrainingEvent.Step(long step, _, _, _, _)
                                    && step == 11) {
                                trainer.stop();
                            }
                        })
                        .evaluateEvery(5, data, Metrics.accuracy())
                        .keepBest()
                        .train(data, 5);
        assertEquals(0, net.first.buffer("weight_mask").count_nonzero().item_long());
        assertTrue(result.best().isEmpty());
        assertEquals(1, result.warnings().size());
        String warning = result.warnings().getFirst();
        assertTrue(
                warning.startsWith(
                        "The model is as the last step left it, not as it was at its best"
                                + " evaluation: masks pruned "),
                warning);
        assertTrue(warning.contains(" and prune 96 now"), warning);
    }

    @Test
    @DisplayName("only evaluations since fake quantizations began to round count as the best")
    void bestOfRounded() {
        Dataset data = SmallNet.examples(64);
        SmallNet net = SmallNet.masked();
        net.qconfig(QConfig.qatForBackend("x86"));
        Quantization.prepareQat(net);
        round(net, false);
        TrainingResult result =
                trainer(net)
                        .listen(event -> {
                            if (event instanceof TrainingEvent.Step made && made.step() == 20) {
                                round(net, true);
                            }
                        })
                        .evaluateEvery(4, data, Metrics.accuracy())
                        .keepBest()
                        .train(data, 4);
        assertTrue(result.best().orElseThrow().step() >= 20, result.toString());
        assertEquals(List.of(), result.warnings());
        fakeQuantizations(net).forEach(each -> assertTrue(each.isFakeQuantEnabled()));
    }

    private static void round(Module model, boolean on) {
        fakeQuantizations(model).forEach(each -> each.enableFakeQuant(on));
    }

    private static List<FakeQuantize> fakeQuantizations(Module model) {
        List<FakeQuantize> found =
                model.namedModules().values().stream()
                        .filter(FakeQuantize.class::isInstance)
                        .map(FakeQuantize.class::cast)
                        .toList();
        assertFalse(found.isEmpty());
        return found;
    }

    private static Trainer trainer(SmallNet net) {
        return Trainer.of(net, Losses.crossEntropy(), Optimizers.sgd(net.parameters(), 0.1))
                .batchSize(8);
    }

    private static void maskAll(TrainingEvent event, SmallNet net, long at) {
        if (event instanceof TrainingEvent.Step made && made.step() == at) {
            net.first.buffer("weight_mask").zero_();
        }
    }
}
