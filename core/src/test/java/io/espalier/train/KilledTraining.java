package io.espalier.train;

import io.espalier.data.Dataset;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Libtorch;

import java.nio.file.Files;
import java.nio.file.Path;

/** A process that trains, prints every step, and goes on from a checkpoint where there is one. */
final class KilledTraining {
    static final int EPOCHS = 60;

    private KilledTraining() {}

    /**
     * Trains.
     *
     * @param arguments the file of the checkpoints, and the file for the final weights
     */
    public static void main(String... arguments) {
        Libtorch.threads(1);
        SmallNet net = SmallNet.masked();
        Dataset data = SmallNet.examples(70);
        Path checkpoint = Path.of(arguments[0]);
        Trainer anew =
                trainer(net)
                        .checkpointEvery(3, checkpoint)
                        .listen(event -> {
                            if (event instanceof TrainingEvent.Step step) {
                                System.out.println("step " + step.step());
                                pause();
                            }
                        });
        Libtorch.seed(13);
        Trainer trainer = Files.exists(checkpoint) ? anew.resume(checkpoint) : anew;
        try {
            trainer.train(data, EPOCHS);
            net.save(Path.of(arguments[1]));
        } catch (EspalierException e) {
            System.out.println("error " + e.getMessage());
        }
    }

    /** Makes a training that would be over in no time last until somebody can kill it. */
    private static void pause() {
        try {
            Thread.sleep(2);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    static Trainer trainer(SmallNet net) {
        return Trainer.of(net, Losses.crossEntropy(), Optimizers.adam(net.parameters(), 0.01))
                .batchSize(8)
                .seed(3)
                .learningRate(LearningRate.cosine().warmUp(5));
    }
}
