package io.espalier.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.data.Dataset;
import io.espalier.tensor.EspalierException;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

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
}
