// Iterative pruning: in rounds along a cubic schedule, each followed by fine-tuning, as far as half
// a point of
// accuracy allows. What is best so far is always on disk; run again, it would go on from there.

import io.espalier.data.Dataset;
import io.espalier.data.Mnist;
import io.espalier.nn.Functional;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.prune.IterativePruner;
import io.espalier.prune.PruningResult;
import io.espalier.prune.Schedule;
import io.espalier.prune.Sparsity;
import io.espalier.tensor.Libtorch;
import io.espalier.train.Evaluator;
import io.espalier.train.Losses;
import io.espalier.train.Optimizers;
import io.espalier.train.Trainer;

import org.bytedeco.pytorch.Tensor;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

static final class Net extends Module {
    final Linear fc1 = add("fc1", new Linear(784, 100));
    final Linear fc2 = add("fc2", new Linear(100, 10));

    @Override
    protected Tensor forward(Tensor x) {
        return fc2.call(Functional.relu(fc1.call(Functional.flatten(x, 1, -1))));
    }
}

void main() throws IOException {
    Libtorch.seed(1);
    Dataset digits = Mnist.train().take(6000);
    Evaluator accuracy = Evaluator.accuracy(Mnist.test().take(2000));
    Path checkpoints = Files.createTempDirectory("pruning");

    var model = new Net();
    var trainer =
            Trainer.of(model, Losses.crossEntropy(), Optimizers.adam(model.parameters(), 2e-3))
                    .batchSize(32);
    trainer.train(digits, 5);

    PruningResult result =
            IterativePruner.of(model)
                    .schedule(Schedule.cubic(0.0, 0.9, 6))
                    .fineTune(trainer, digits, 1)
                    .keepWithin(0.005, accuracy)
                    .retries(1)
                    .run(checkpoints);

    IO.println(result);
    IO.println();
    IO.println(Sparsity.of(result.model()));
    IO.println("\nSaved: " + checkpoints.resolve("best.safetensors"));
}
