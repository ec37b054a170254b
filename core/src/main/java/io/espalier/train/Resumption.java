package io.espalier.train;

import io.espalier.data.DataLoader;
import io.espalier.tensor.EspalierException;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.InputArchive;

import java.nio.file.Path;

/** Puts a checkpoint into a trainer's model and optimizer, whole or not at all. */
final class Resumption {
    private final Path file;
    private final Trainer trainer;
    private final boolean keepsBest;
    private final DataLoader loader;

    Resumption(Path file, Trainer trainer, boolean keepsBest, DataLoader loader) {
        this.file = file;
        this.trainer = trainer;
        this.keepsBest = keepsBest;
        this.loader = loader;
    }

    /**
     * Restores everything and says where the training stands.
     *
     * @param best receives the best model so far
     * @throws EspalierException if the checkpoint can't be read or is of another training; nothing
     *     has changed then
     */
    Progress restore(BestModel best) {
        try (var scope = new PointerScope()) {
            Checkpoint checkpoint = Checkpoint.read(file);
            check(checkpoint);
            InputArchive optimizer = OptimizerArchive.of(checkpoint.optimizer(), trainer.optimizer);
            loadModel(checkpoint);
            trainer.optimizer.load(optimizer);
            RandomState.set(checkpoint.generator());
            best.take(checkpoint.best());
            return checkpoint.description().progress();
        }
    }

    private void check(Checkpoint checkpoint) {
        Checkpoint.Description description = checkpoint.description();
        Progress progress = description.progress();
        var order = Progress.Order.of(loader);
        if (!order.equals(description.order()) || progress.batch() >= loader.batches()) {
            throw misfit(
                    "this training is on " + order + ", that one was on " + description.order());
        }
        OptimizerKind kind = OptimizerKind.of(trainer.optimizer, trainer.model);
        if (!kind.equals(description.kind())) {
            throw misfit("this training " + kind.difference(description.kind()));
        }
        if (keepsBest && progress.best() >= 0 && checkpoint.best().isEmpty()) {
            throw misfit("this training keeps the best model, that one did not");
        }
        try {
            OptimizerFit.check(trainer.optimizer, kind, checkpoint.optimizer());
        } catch (EspalierException e) {
            throw new EspalierException(
                    "Can't resume from " + file + ": " + e.getMessage() + ".", e);
        }
        RandomState.check(checkpoint.generator());
    }

    private void loadModel(Checkpoint checkpoint) {
        try {
            trainer.model.loadStateDict(checkpoint.model());
        } catch (EspalierException e) {
            throw new EspalierException("Can't resume from " + file + ": " + e.getMessage(), e);
        }
    }

    private EspalierException misfit(String reason) {
        return new EspalierException(
                "Can't resume from "
                        + file
                        + ": "
                        + reason
                        + "; set it up the same, or start anew.");
    }
}
