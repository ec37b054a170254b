package io.espalier.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.Module;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Adagrad;
import org.bytedeco.pytorch.AdagradOptions;
import org.bytedeco.pytorch.Optimizer;
import org.bytedeco.pytorch.RMSprop;
import org.bytedeco.pytorch.RMSpropOptions;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/** Trainings of a {@link SmallNet} with all that a checkpoint must hold. */
final class SmallTraining {
    private SmallTraining() {}

    /** Every optimizer whose state a checkpoint holds, with each tensor that it can keep. */
    enum UpdateRule {
        SGD,
        MOMENTUM,
        ADAM,
        AMSGRAD,
        ADAMW,
        ADAGRAD,
        RMSPROP,
        CENTERED;

        Optimizer over(Module model) {
            List<Tensor> parameters = model.parameters();
            return switch (this) {
                case SGD -> Optimizers.sgd(parameters, 0.05);
                case MOMENTUM ->
                        Optimizers.sgd(parameters, 0.05, s -> s.momentum(0.9).dampening(0.1));
                case ADAM -> Optimizers.adam(parameters, 0.01);
                case AMSGRAD ->
                        Optimizers.adam(parameters, 0.01, s -> s.amsgrad(true).betas(0.8, 0.99));
                case ADAMW -> Optimizers.adamW(parameters, 0.01);
                case ADAGRAD -> new Adagrad(vector(parameters), new AdagradOptions(0.05));
                case RMSPROP -> new RMSprop(vector(parameters), new RMSpropOptions(0.01));
                case CENTERED -> {
                    var options = new RMSpropOptions(0.01);
                    options.centered().put(true);
                    options.momentum().put(0.5);
                    yield new RMSprop(vector(parameters), options);
                }
            };
        }

        private static TensorVector vector(List<Tensor> parameters) {
            return new TensorVector(parameters.toArray(new Tensor[0]));
        }
    }

    static Trainer trainer(SmallNet net, UpdateRule rule) {
        return Trainer.of(net, Losses.crossEntropy(), rule.over(net))
                .batchSize(8)
                .seed(2)
                .learningRate(LearningRate.cosine().warmUp(4))
                .evaluateEvery(4, SmallNet.examples(20), Metrics.accuracy());
    }

    static Trainer stopAt(Trainer trainer, long step) {
        return trainer.listen(event -> {
            if (event instanceof TrainingEvent.Step made && made.step() == step) {
                trainer.stop();
            }
        });
    }

    static Map<String, Tensor> stateOf(Module model) {
        Map<String, Tensor> copy = new LinkedHashMap<>();
        model.stateDict().forEach((name, tensor) -> copy.put(name, tensor.clone()));
        return copy;
    }

    static void assertSame(Map<String, Tensor> expected, Map<String, Tensor> actual) {
        assertEquals(expected.keySet(), actual.keySet());
        expected.forEach((name, tensor) ->
                assertTrue(Tensors.equal(tensor, Objects.requireNonNull(actual.get(name))), name));
    }
}
