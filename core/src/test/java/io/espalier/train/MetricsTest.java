package io.espalier.train;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.data.DataLoader;
import io.espalier.data.Dataset;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.util.List;
import java.util.Random;

class MetricsTest {
    private static double measure(Metric metric, Tensor output, Tensor target) {
        Metric.Measurement measurement = metric.start();
        measurement.add(output, target);
        return measurement.value();
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 4, 5})
    @DisplayName("accuracy and top-k count what a search by hand counts, over uneven batches")
    void classification(int seed) {
        Random random = new Random(seed);
        Metric.Measurement first = Metrics.accuracy().start();
        Metric.Measurement third = Metrics.topK(3).start();
        int examples = 0;
        int right = 0;
        int near = 0;
        for (int size : new int[] {7, 1, 12}) {
            float[] scores = new float[size * 6];
            long[] classes = new long[size];
            for (int n = 0; n < size; n++) {
                classes[n] = random.nextInt(6);
                int above = 0;
                for (int c = 0; c < 6; c++) {
                    scores[n * 6 + c] = random.nextFloat();
                }
                for (int c = 0; c < 6; c++) {
                    above += scores[n * 6 + c] > scores[n * 6 + (int) classes[n]] ? 1 : 0;
                }
                examples++;
                right += above == 0 ? 1 : 0;
                near += above < 3 ? 1 : 0;
            }
            Tensor output = Tensors.of(scores, size, 6);
            Tensor target = Tensors.of(classes, size);
            first.add(output, target);
            third.add(output, target);
        }
        assertEquals((double) right / examples, first.value());
        assertEquals((double) near / examples, third.value());
    }

    @Test
    @DisplayName("mean losses and errors weigh every example alike and are better when lower")
    void means() {
        Metric.Measurement loss = Metrics.meanLoss(Losses.mse()).start();
        loss.add(Tensors.of(new float[] {1, 2, 3}, 3, 1), Tensors.of(new float[] {1, 1, 1}, 3, 1));
        loss.add(Tensors.of(new float[] {5}, 1, 1), Tensors.of(new float[] {1}, 1, 1));
        assertEquals((0 + 1 + 4 + 16) / 4.0, loss.value(), 1e-6);
        assertFalse(Metrics.meanLoss(Losses.mse()).higherIsBetter());
        assertEquals(1.5, measure(Metrics.meanAbsoluteError(), Tensors.of(1, 4), Tensors.of(2, 2)));
        assertTrue(Double.isNaN(Metrics.accuracy().start().value()), "nothing measured");
    }

    @Test
    @DisplayName("an evaluator measures in inference mode, leaves modes and gradients as they were")
    void evaluator() {
        SmallNet net = SmallNet.masked();
        net.norm.eval();
        Dataset data = SmallNet.examples(600);
        Evaluator evaluator = Evaluator.accuracy(data);
        double value = evaluator.evaluate(net);
        assertEquals(value, evaluator.evaluate(net), "dropout is off");
        assertEquals(
                value, Evaluator.of(new DataLoader(data, 7), Metrics.accuracy()).evaluate(net));
        assertTrue(net.isTraining());
        assertFalse(net.norm.isTraining());
        assertTrue(net.dropout.isTraining());
        net.namedParameters().values().forEach(p -> assertFalse(p.grad().defined()));

        net.eval();
        Tensor output = net.call(data.all().input());
        assertEquals(measure(Metrics.accuracy(), output, data.all().target()), value);
    }

    @Test
    @DisplayName("a model that fails in an evaluation is left in the mode it was in")
    void failingEvaluation() {
        SmallNet net = SmallNet.masked();
        Dataset wrong = Dataset.of(Tensors.ones(2, 5), Tensors.of(new long[2], 2));
        messageOf(() -> Evaluator.accuracy(wrong).evaluate(net));
        assertTrue(net.isTraining());
        assertTrue(Tensors.ones(1).set_requires_grad(true).neg().requires_grad(), "gradients on");
    }

    @Test
    @DisplayName("shapes that don't fit and numbers out of range are named")
    void wrongUse() {
        Libtorch.start();
        assertEquals(
                "The metric accuracy needs an output [N, C] of scores and a target [N] of class"
                        + " numbers; they have [2] and [2].",
                messageOf(() -> measure(Metrics.accuracy(), Tensors.ones(2), Tensors.ones(2))));
        assertEquals(
                "The metric top-4 needs at least 4 classes; the output has 3.",
                messageOf(() -> measure(Metrics.topK(4), Tensors.ones(2, 3), Tensors.ones(2))));
        assertEquals(
                "Top-k needs a k of 1 or more; asked for 0.", messageOf(() -> Metrics.topK(0)));
        assertEquals(
                "No metric 'loss' was measured; these were: accuracy.",
                messageOf(() ->
                        new EvaluationPass(
                                        new DataLoader(SmallNet.examples(4), 2),
                                        List.of(Metrics.accuracy()))
                                .run(SmallNet.masked(), 0)
                                .get("loss")));
    }
}
