package io.espalier.onnx.tune;

import io.espalier.data.Dataset;
import io.espalier.nn.Module;
import io.espalier.onnx.fit.UnseenRows;
import io.espalier.onnx.lower.LoweredModel;
import io.espalier.onnx.lower.Lowering;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
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

import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.LongStream;

/** Trains a file's weights by gradients on libtorch. */
final class GradientTraining {
    private static final double LONGEST_GRADIENT = 1;
    private static final int CHECKPOINT_STEPS = 50;

    /** The share of training in which the rate rises, until Adam knows how large gradients are. */
    private static final double RISING = 0.05;

    /** After which part of the time the model is measured, to keep the best. */
    private static final double MEASURED = 0.05;

    /** The same in seconds, of little time. */
    private static final double SELDOM = 10;

    /** The part of the rate with which it begins. */
    private static final double LEAST = 0.02;

    private final TrainableFile file;
    private final FineTuningSettings settings;
    private final BestFile best;
    private final Checkpoint checkpoint;

    /** Whose result is the best of what epochs made, and of what there was before. */
    GradientTraining(
            TrainableFile file, FineTuningSettings settings, BestFile best, Checkpoint checkpoint) {
        this.file = file;
        this.settings = settings;
        this.best = best;
        this.checkpoint = checkpoint;
    }

    /**
     * What came of it.
     *
     * @param better whether that is better than what there was before
     */
    record Trained(OnnxModel model, boolean better, long steps, List<String> frozen) {}

    /**
     * Says before anything else is done that a model can be trained.
     *
     * @throws EspalierException if libtorch lacks one of its operators
     */
    static void requireLowered(OnnxModel model) {
        try {
            Lowering.lower(TrainableFile.Floats.of(model).lowerable());
        } catch (EspalierException e) {
            throw new EspalierException(
                    "Training by gradients needs a model that libtorch can run; slim this one without it, on the command line without --finetune. %s"
                            .formatted(e.getMessage()),
                    e);
        }
    }

    Trained run(CalibrationData data) {
        List<String> inside = inside(data);
        LoweredModel lowered =
                Lowering.lower(
                        givingFloats(file.lowerable())
                                .rewritten(graph -> inside.forEach(graph::addOutput)));
        TrainableWeights weights = TrainableWeights.of(lowered, file::held);
        var unseen = new UnseenRows(best.model().graph(), data.batches());
        if (varies()) {
            weights.keepTo(name -> !unseen.areOf(name));
        }
        file.prepare(weights);
        if (weights.count() == 0) {
            throw new EspalierException(
                    "None of the model's weights can be trained: the file computes them, or the"
                            + " data reads few rows of its tables.");
        }
        if (settings.teacher.isPresent()) {
            try (var session =
                    OnnxSession.open(
                            settings.teacher.get(),
                            s -> s.threads(settings.threads).tapping(inside))) {
                return train(
                        new Distillation(lowered, session, batches(data, unseen), inside),
                        weights,
                        data);
            }
        }
        return train(
                new LabelledLearning(lowered, data.batches(), settings.task, data.requireLabels()),
                weights,
                data);
    }

    /**
     * Whether inputs vary: not those of integers, whose ranges were found on the data, nor those
     * that labels are of.
     */
    private boolean varies() {
        return settings.teacher.isPresent() && !settings.trainsIntegers;
    }

    private Distillation.Batches batches(CalibrationData data, UnseenRows unseen) {
        return varies()
                ? new Variations(data.batches(), unseen, settings.seed)::of
                : (number, drawn) -> data.batches().get(number);
    }

    private List<String> inside(CalibrationData data) {
        return settings
                .teacher
                .filter(teacher -> !settings.trainsIntegers)
                .map(teacher -> SharedValues.of(best.model(), teacher, data.batches().getFirst()))
                .orElse(List.of())
                .stream()
                .filter(value -> file.lowerable().graph().producer(value) != null)
                .toList();
    }

    /** The model without the rounding of its results to 16 bits, where small gradients vanish. */
    private static OnnxModel givingFloats(OnnxModel model) {
        return model.rewritten(graph ->
                graph.outputs().stream()
                        .map(output -> graph.producer(output.getName()))
                        .filter(node ->
                                node != null
                                        && node.is("Cast")
                                        && node.integer("to", 0) == ElementType.FLOAT16.code())
                        .toList()
                        .forEach(node ->
                                graph.replace(
                                        node,
                                        OnnxNode.of("Identity", node.inputs(), node.output()))));
    }

    private Trained train(Objective objective, TrainableWeights weights, CalibrationData data) {
        objective.train();
        objective.namedChildren().values().forEach(Module::eval);
        int batches = data.batches().size();
        long[] numbers = LongStream.range(0, batches).toArray();
        Tensor dataset = Tensors.of(numbers, batches);
        List<Tensor> trainable =
                objective.parameters().stream().filter(Tensor::requires_grad).toList();
        var clock = new Clock(objective, settings);
        Trainer trainer =
                Trainer.of(
                                objective,
                                (output, target) -> output.mean(),
                                Optimizers.adam(trainable, settings.learningRate()))
                        .batchSize(1)
                        .seed(settings.seed)
                        .learningRate(rate(clock))
                        .clipNorm(LONGEST_GRADIENT)
                        .quiet();
        checkpoint.trainingFile().ifPresent(f -> trainer.checkpointEvery(CHECKPOINT_STEPS, f));
        checkpoint.trainingToGoOnFrom().ifPresent(trainer::resume);
        trainer.listen(event -> {
            if (event instanceof TrainingEvent.EpochEnd && clock.isDue()) {
                best.offer(file.with(weights));
            }
            if (event instanceof TrainingEvent.Step step) {
                if (settings.isByTime()) {
                    settings.listener.at("training", clock.seconds(), clock.all());
                } else {
                    settings.listener.at("training", step.step(), step.steps());
                }
                if (clock.share() > 1) {
                    trainer.stop();
                }
            }
        });
        TrainingResult result = trained(trainer, Dataset.of(dataset, dataset));
        best.offer(file.with(weights));
        return new Trained(best.model(), !best.isFirst(), result.steps(), weights.frozen());
    }

    /** Rises at first, and falls along half a cosine until the last step, or the end of time. */
    private LearningRate rate(Clock clock) {
        return position -> {
            double share = settings.isByTime() ? Math.min(1, clock.share()) : position.share();
            double risen = Math.min(1, share / RISING + LEAST);
            return risen * (1 + Math.cos(Math.PI * share)) / 2;
        };
    }

    /** How much of the time is over. */
    private static final class Clock {
        private final Objective objective;
        private final double minutes;
        private final boolean isByTime;
        private double due;

        Clock(Objective objective, FineTuningSettings settings) {
            this.objective = objective;
            minutes = settings.minutes.orElse(Double.POSITIVE_INFINITY);
            isByTime = settings.isByTime();
        }

        double share() {
            return objective.milliseconds() / 60e3 / minutes;
        }

        long seconds() {
            return Math.min(all(), objective.milliseconds() / 1000);
        }

        long all() {
            return Math.max(1, Math.round(60 * minutes));
        }

        /** Whether the model is to be measured; where epochs are short, not after each of them. */
        boolean isDue() {
            double share = share();
            boolean isDue = !isByTime || share >= due;
            due = isDue ? share + Math.max(MEASURED, SELDOM / 60 / minutes) : due;
            return isDue;
        }
    }

    private TrainingResult trained(Trainer trainer, Dataset data) {
        Optional<Path> from = checkpoint.trainingToGoOnFrom();
        try {
            return trainer.train(data, settings.epochs());
        } catch (EspalierException e) {
            boolean unread =
                    from.filter(file -> String.valueOf(e.getMessage()).contains(file.toString()))
                            .isPresent();
            throw unread ? checkpoint.damaged(e) : e;
        }
    }
}
