// Trains a small convolutional network on MNIST with the Trainer: a schedule, evaluation, the best
// model kept, and checkpoints from which a stopped training goes on exactly.

import io.espalier.data.Mnist;
import io.espalier.nn.BatchNorm2d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Flatten;
import io.espalier.nn.Linear;
import io.espalier.nn.MaxPool2d;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.tensor.Libtorch;
import io.espalier.train.Evaluator;
import io.espalier.train.LearningRate;
import io.espalier.train.Losses;
import io.espalier.train.Metrics;
import io.espalier.train.Optimizers;
import io.espalier.train.Trainer;
import io.espalier.train.TrainingEvent;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** 1x28x28 pixels to ten scores. */
Module network() {
    Libtorch.seed(1);
    return new Sequential(
            new Conv2d(1, 8, 5),
            new BatchNorm2d(8),
            new ReLU(),
            new MaxPool2d(2),
            new Conv2d(8, 16, 5),
            new BatchNorm2d(16),
            new ReLU(),
            new MaxPool2d(2),
            new Flatten(),
            new Linear(256, 10));
}

Trainer trainer(Module model, Path checkpoint) {
    var optimizer = Optimizers.sgd(model.parameters(), 0.05, 0.9);
    return Trainer.of(model, Losses.crossEntropy(), optimizer)
            .batchSize(32)
            .learningRate(LearningRate.cosine().warmUp(20))
            .evaluateEvery(100, Mnist.test().take(2000), Metrics.accuracy())
            .keepBest()
            .checkpointEvery(50, checkpoint);
}

void main() throws IOException {
    Path folder = Files.createTempDirectory("train-mnist");
    Path checkpoint = folder.resolve("training.safetensors");
    var train = Mnist.train().take(9600);

    // The first training is stopped on its way.
    var first = trainer(network(), checkpoint);
    first.listen(event -> {
        switch (event) {
            case TrainingEvent.Step step when step.step() == 120 -> first.stop();
            case TrainingEvent.Evaluated evaluated -> IO.println(evaluated.scores());
            default -> {}
        }
    });
    IO.println(first.train(train, 1).end());

    // Another goes on from its checkpoint, with a model that knows nothing yet.
    Module model = network();
    var result = trainer(model, checkpoint).resume(checkpoint).train(train, 1);
    result.evaluations().forEach(IO::println);

    double accuracy = Evaluator.accuracy(Mnist.test()).evaluate(model);
    IO.println("After %d steps: %.2f %% of 10,000".formatted(result.steps(), 100 * accuracy));

    Files.delete(checkpoint);
    Files.delete(folder);
}
