package io.espalier.train;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.data.DataLoader;
import io.espalier.data.Dataset;
import io.espalier.nn.Functional;
import io.espalier.nn.Linear;
import io.espalier.nn.Mask;
import io.espalier.nn.Module;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.util.ArrayList;
import java.util.List;

class MemoryTest {
    /** A masked layer whose step makes more than 2 MB of tensors. */
    static final class Wide extends Module {
        final Linear in = add("in", new Linear(8, 2048));
        final Linear out = add("out", new Linear(2048, 2));

        Wide() {
            in.addBuffer("weight_mask", Tensors.ones(2048, 8));
            in.storeAs("weight", "weight_orig");
            in.parametrize("weight", new Mask("weight"));
        }

        @Override
        protected Tensor forward(Tensor x) {
            return out.call(Functional.relu(in.call(x)));
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 2})
    @DisplayName("the process's memory stays flat over a thousand steps with masks and evaluations")
    void flat(int ahead) {
        var model = new Wide();
        Dataset data = Dataset.of(Tensors.randn(64 * 1200, 8), Tensors.zeros(64 * 1200, 2));
        List<Long> memory = new ArrayList<>();
        Trainer.of(model, Losses.mse(), Optimizers.sgd(model.parameters(), 1e-4, 0.9))
                .clipNorm(1)
                .learningRate(LearningRate.cosine())
                .evaluateEvery(50, data.take(500), Metrics.meanLoss(Losses.mse()))
                .keepBest()
                .listen(event -> {
                    if (event instanceof TrainingEvent.Step step && step.step() % 200 == 0) {
                        memory.add(Pointer.physicalBytes());
                    }
                })
                .train(new DataLoader(data, 64).shuffled(0).ahead(ahead), 1);
        long growth = memory.getLast() - memory.getFirst();
        // Without a scope around each step it would be 2 GB; Java's heap may grow by some.
        assertTrue(growth < 100L << 20, "grew by " + growth + ": " + memory);
    }
}
