package io.espalier.train;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import org.bytedeco.pytorch.OptimizerParamGroup;
import org.bytedeco.pytorch.SGD;
import org.bytedeco.pytorch.SGDOptions;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.LongStream;

class LearningRateTest {
    /** The factors of 8 steps in epochs of 2. */
    private static double[] factors(LearningRate schedule) {
        return LongStream.range(0, 8)
                .mapToDouble(step -> schedule.factor(new LearningRate.Position(step, 8, 2)))
                .toArray();
    }

    @Test
    @DisplayName("schedules by epochs change as an epoch begins")
    void byEpochs() {
        assertArrayEquals(new double[] {1, 1, 1, 1, 1, 1, 1, 1}, factors(LearningRate.constant()));
        assertArrayEquals(
                new double[] {1, 1, 1, 1, .1, .1, .1, .1},
                factors(LearningRate.step(2, 0.1)),
                1e-12);
        assertArrayEquals(
                new double[] {1, 1, .5, .5, .25, .25, .125, .125},
                factors(LearningRate.exponential(0.5)),
                1e-12);
        assertArrayEquals(
                new double[] {1, 1, .1, .1, .1, .1, .01, .01},
                factors(LearningRate.milestones(0.1, 1, 3)),
                1e-12);
    }

    @Test
    @DisplayName("schedules by steps change with every step")
    void bySteps() {
        assertArrayEquals(
                new double[] {1, .875, .75, .625, .5, .375, .25, .125},
                factors(LearningRate.linear(1, 0)),
                1e-12);
        double[] cosine = factors(LearningRate.cosine());
        for (int step = 0; step < 8; step++) {
            assertEquals(0.5 * (1 + Math.cos(Math.PI * step / 8)), cosine[step], 1e-12);
        }
    }

    @Test
    @DisplayName("a warm-up rises evenly, and what follows takes the steps that remain")
    void warmUp() {
        assertArrayEquals(
                new double[] {.25, .5, .75, 1, .8, .6, .4, .2},
                factors(LearningRate.linear(1, 0).warmUp(3)),
                1e-12);
        assertArrayEquals(
                factors(LearningRate.cosine()), factors(LearningRate.cosine().warmUp(0)), 0);
    }

    @Test
    @DisplayName("every parameter group keeps its own rate, scaled in training and restored after")
    void groups() {
        SmallNet net = SmallNet.masked();
        SGD optimizer = Optimizers.sgd(List.of(net.last.parameter("weight")), 0.4);
        optimizer.add_param_group(
                new OptimizerParamGroup(
                        new TensorVector(new Tensor[] {net.last.parameter("bias")}),
                        new SGDOptions(0.2)));
        var first = new ArrayList<Double>();
        var second = new ArrayList<Double>();
        var reported = new ArrayList<Double>();
        Trainer.of(net, Losses.crossEntropy(), optimizer)
                .learningRate(LearningRate.linear(1, 0))
                .batchSize(4)
                .listen(event -> {
                    if (event instanceof TrainingEvent.Step step) {
                        reported.add(step.learningRate());
                        first.add(optimizer.param_groups().get(0).options().get_lr());
                        second.add(optimizer.param_groups().get(1).options().get_lr());
                    }
                })
                .train(SmallNet.examples(16), 1);
        assertEquals(List.of(0.4, 0.4 * 0.75, 0.2, 0.1), reported);
        assertEquals(reported, first);
        assertEquals(List.of(0.2, 0.2 * 0.75, 0.1, 0.05), second);
        assertEquals(0.4, optimizer.param_groups().get(0).options().get_lr());
        assertEquals(0.2, optimizer.param_groups().get(1).options().get_lr());
    }

    @Test
    @DisplayName("numbers out of range are named")
    void wrongUse() {
        assertEquals(
                "The number of epochs between steps must be 1 or more; asked for 0.",
                messageOf(() -> LearningRate.step(0, 0.1)));
        assertEquals(
                "Gamma must be 0 or more; asked for -0.1.",
                messageOf(() -> LearningRate.exponential(-0.1)));
        assertEquals(
                "The first factor must be 0 or more; asked for NaN.",
                messageOf(() -> LearningRate.linear(Double.NaN, 1)));
        assertEquals(
                "The number of warm-up steps must be 0 or more; asked for -1.",
                messageOf(() -> LearningRate.cosine().warmUp(-1)));
    }
}
