package io.espalier.onnx.tune;

import io.espalier.data.Dataset;
import io.espalier.nn.Module;
import io.espalier.onnx.inputs.Inputs;
import io.espalier.onnx.lower.LoweredModel;
import io.espalier.onnx.lower.Lowering;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.quant.CalibrationData;
import io.espalier.onnx.run.OnnxSession;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;
import io.espalier.train.LearningRate;
import io.espalier.train.Optimizers;
import io.espalier.train.Trainer;
import io.espalier.train.TrainingEvent;
import io.espalier.train.TrainingResult;

import org.bytedeco.pytorch.Tensor;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.LongStream;

/** Trains a file's weights by gradients on libtorch. */
final class GradientTraining {
    private static final double LONGEST_GRADIENT = 1;
    private static final int CHECKPOINT_STEPS = 50;

    private final OnnxModel model;
    private final FineTuningSettings settings;

    GradientTraining(OnnxModel model, FineTuningSettings settings) {
        this.model = model;
        this.settings = settings;
    }

    /** What came of it. */
    record Trained(OnnxModel model, long steps, List<String> frozen) {}

    Trained run(Inputs inputs, CalibrationData data) {
        LoweredModel lowered = Lowering.lower(model);
        TrainableWeights weights = TrainableWeights.of(lowered, model);
        weights.keepZeros();
        if (weights.count() == 0) {
            throw new EspalierException(
                    "None of the model's weights can be trained, since the file computes them.");
        }
        if (settings.teacher.isPresent()) {
            try (var session =
                    OnnxSession.open(settings.teacher.get(), s -> s.threads(settings.threads))) {
                var objective = new Distillation(lowered, session, data.batches());
                long steps = train(objective, lowered, data.batches().size());
                return new Trained(weights.writtenTo(model), steps, weights.frozen());
            }
        }
        List<String> labels = inputs.checkedFor(model).labels();
        var objective = new Classification(lowered, data.batches(), labels);
        long steps = train(objective, lowered, data.batches().size());
        return new Trained(weights.writtenTo(model), steps, weights.frozen());
    }

    private long train(Module objective, LoweredModel lowered, int batches) {
        objective.train();
        lowered.module().eval();
        long[] numbers = LongStream.range(0, batches).toArray();
        Tensor dataset = Tensors.of(numbers, batches);
        List<Tensor> trainable =
                objective.parameters().stream().filter(Tensor::requires_grad).toList();
        long began = System.nanoTime();
        Trainer trainer =
                Trainer.of(
                                objective,
                                (output, target) -> output.mean(),
                                Optimizers.adam(trainable, settings.learningRate))
                        .batchSize(1)
                        .seed(settings.seed)
                        .learningRate(LearningRate.cosine())
                        .clipNorm(LONGEST_GRADIENT)
                        .quiet();
        settings.checkpoints
                .map(folder -> folder.resolve("training.safetensors"))
                .ifPresent(file -> keep(trainer, file));
        trainer.listen(event -> {
            if (event instanceof TrainingEvent.Step step) {
                settings.listener.at("training", step.step(), step.steps());
                double minutes = (System.nanoTime() - began) / 60e9;
                if (minutes > settings.minutes.orElse(Double.POSITIVE_INFINITY)) {
                    trainer.stop();
                }
            }
        });
        TrainingResult result = trainer.train(Dataset.of(dataset, dataset), settings.epochs);
        return result.steps();
    }

    private void keep(Trainer trainer, Path file) {
        trainer.checkpointEvery(CHECKPOINT_STEPS, file);
        if (settings.goingOn && Files.exists(file)) {
            trainer.resume(file);
        }
    }
}
