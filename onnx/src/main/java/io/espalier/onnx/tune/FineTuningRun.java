package io.espalier.onnx.tune;

import io.espalier.onnx.compare.TaskScore;
import io.espalier.onnx.fit.UnseenRows;
import io.espalier.onnx.inputs.Inputs;
import io.espalier.onnx.inputs.Signature;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.proto.ValueInfoProto;
import io.espalier.onnx.quant.CalibrationData;
import io.espalier.onnx.quant.QuantizationMode;
import io.espalier.onnx.quant.QuantizationResult;
import io.espalier.onnx.quant.Quantizer;
import io.espalier.onnx.quant.ReferenceOutputs;
import io.espalier.onnx.run.OnnxSession;
import io.espalier.onnx.tune.BestFile.Loss;
import io.espalier.tensor.EspalierException;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.function.Function;

/** One fine-tuning: layers fitted, then trained, then put into integers, as far as is asked for. */
final class FineTuningRun {
    /** More examples make layers no better and take more time. */
    private static final int MOST_EXAMPLES = 256;

    /** Judging by more takes time from training. */
    private static final int ENOUGH_TO_JUDGE = 64;

    private final OnnxModel original;
    private final FineTuningSettings settings;
    private final Checkpoint checkpoint;

    /** What is reached is kept in a checkpoint, which stays the caller's. */
    FineTuningRun(OnnxModel original, FineTuningSettings settings, Checkpoint checkpoint) {
        this.original = original;
        this.settings = settings;
        this.checkpoint = checkpoint;
    }

    /** A model on its way, and what was done to it. */
    private record Step(
            OnnxModel model,
            int layersFitted,
            long steps,
            boolean trainingHelped,
            List<String> frozen) {
        static Step fitted(OnnxModel model, int layers) {
            return new Step(model, layers, 0, false, List.of());
        }

        Step with(OnnxModel other) {
            return new Step(other, layersFitted, steps, trainingHelped, frozen);
        }

        Step with(GradientTraining.Trained trained) {
            return new Step(
                    trained.model(),
                    layersFitted,
                    trained.steps(),
                    trained.better(),
                    trained.frozen());
        }
    }

    TunedModel run(Inputs inputs) {
        try (var data = CalibrationData.read(original, inputs, MOST_EXAMPLES)) {
            Optional<OnnxModel> teacher = settings.teacher;
            checkpoint.of(work(data));
            if (teacher.isEmpty()) {
                Step step = trained(data, Step.fitted(original, 0), Optional.empty());
                return result(step, Optional.empty(), data, inputs);
            }
            requireSameNames(teacher.get());
            settings.listener.at("running the teacher", 0, 1);
            ReferenceOutputs reference = results(teacher.get(), data);
            Step step = learned(teacher.get(), data, reference);
            return result(step, Optional.of(reference), data, inputs);
        }
    }

    /** Fitted and trained, as far as both the data and others come nearer to the teacher's. */
    private Step learned(OnnxModel teacher, CalibrationData data, ReferenceOutputs reference) {
        var unseen = new UnseenRows(original.graph(), data.batches());
        List<Map<String, Tensor>> apart =
                new Variations(data.batches(), unseen, settings.seed).apart(ENOUGH_TO_JUDGE);
        try {
            Judge judge =
                    judged(teacher, apart)
                            .map(others -> new Judge(List.of(reference, others)))
                            .orElse(new Judge(List.of(reference)));
            Step fitted = fitted(teacher, data, judge);
            return trained(data, fitted, Optional.of(judge));
        } finally {
            apart.forEach(batch -> batch.values().forEach(Tensor::releaseReference));
        }
    }

    /** Results of varied inputs, unless they are inputs that the models can't take. */
    private Optional<ReferenceOutputs> judged(OnnxModel teacher, List<Map<String, Tensor>> apart) {
        try {
            return Optional.of(ReferenceOutputs.of(teacher, apart, settings.threads))
                    .filter(others -> Double.isFinite(others.drop(original)));
        } catch (EspalierException e) {
            return Optional.empty();
        }
    }

    /** What there is to be done, in a hash. */
    private String work(CalibrationData data) {
        return settings.teacher
                .map(teacher -> data.digest(settings.words(), original, teacher))
                .orElseGet(() -> data.digest(settings.words() + data.requireLabels(), original));
    }

    private ReferenceOutputs results(OnnxModel teacher, CalibrationData data) {
        try (var scope = new PointerScope()) {
            Signature.of(teacher).exact(data.batches().getFirst());
        } catch (EspalierException e) {
            throw new EspalierException(
                    "The teacher can't take the model's data; name the model that this one was made"
                            + " of: "
                            + e.getMessage(),
                    e);
        }
        return ReferenceOutputs.of(teacher, data.batches(), settings.threads);
    }

    private void requireSameNames(OnnxModel teacher) {
        List<String> own = names(original.graph().outputs());
        List<String> others = names(teacher.graph().outputs());
        if (own.stream().noneMatch(others::contains)) {
            throw new EspalierException(
                    "The teacher gives %s and the model %s; it can teach what they both give."
                            .formatted(others, own));
        }
    }

    private static List<String> names(List<ValueInfoProto> values) {
        return values.stream().map(ValueInfoProto::getName).toList();
    }

    /** Layers by least squares, if the model is nearer to its teacher then. */
    private Step fitted(OnnxModel teacher, CalibrationData data, Judge judge) {
        Function<OnnxModel, Loss> loss = judge.beside(original);
        Optional<OnnxModel> kept =
                checkpoint.model("fitted").filter(model -> loss.apply(model).share() <= 1);
        if (kept.isPresent()) {
            return Step.fitted(kept.get(), 0);
        }
        LayerFit.Fitted fitted = LayerFit.of(original, teacher, data.batches(), settings.listener);
        boolean nearer = fitted.layers() > 0 && loss.apply(fitted.model()).share() < 1;
        Step step =
                nearer ? Step.fitted(fitted.model(), fitted.layers()) : Step.fitted(original, 0);
        checkpoint.keep("fitted", step.model());
        return step;
    }

    private Step trained(CalibrationData data, Step step, Optional<Judge> judge) {
        if (settings.epochs() == 0 || settings.trainsIntegers) {
            return step;
        }
        return trained(TrainableFile.Floats.of(step.model()), data, step, judge);
    }

    /** By gradients, as far as what they make is better than what there was. */
    private Step trained(
            TrainableFile file, CalibrationData data, Step step, Optional<Judge> judge) {
        Function<OnnxModel, Loss> loss =
                judge.map(teacher -> teacher.beside(step.model()))
                        .orElse(model -> byLabels(model, data));
        boolean isTaughtFloats = judge.isPresent() && !settings.trainsIntegers;
        FineTuningSettings settled =
                isTaughtFloats
                        ? RateTrials.USUAL.settled(
                                settings,
                                new RateTrials.Work(step.model(), file, loss, data),
                                checkpoint)
                        : settings;
        var best = new BestFile(step.model(), loss, checkpoint);
        return step.with(new GradientTraining(file, settled, best, checkpoint).run(data));
    }

    private Loss byLabels(OnnxModel model, CalibrationData data) {
        try (var session = OnnxSession.open(model, s -> s.threads(settings.threads))) {
            return LabelledLearning.loss(
                    settings.task, session, data.batches(), data.requireLabels());
        }
    }

    private TunedModel result(
            Step step, Optional<ReferenceOutputs> reference, CalibrationData data, Inputs inputs) {
        if (!settings.integers) {
            return tuned(step, reference, data, Optional.empty());
        }
        Optional<OnnxModel> kept = checkpoint.model("integers");
        if (kept.isPresent()) {
            return trainedIntegers(step.with(kept.get()), reference, data, Optional.empty());
        }
        QuantizationResult fitted = integers(step.model(), inputs);
        if (!settings.trainsIntegers) {
            return tuned(step.with(fitted.model()), reference, data, Optional.of(fitted));
        }
        checkpoint.keep("integers", fitted.model());
        return trainedIntegers(step.with(fitted.model()), reference, data, Optional.of(fitted));
    }

    private TunedModel trainedIntegers(
            Step fitted,
            Optional<ReferenceOutputs> reference,
            CalibrationData data,
            Optional<QuantizationResult> integers) {
        Optional<Judge> judge = reference.map(results -> new Judge(List.of(results)));
        var file = new IntegerFile(fitted.model(), ZeroWeights.areIn(original));
        return tuned(trained(file, data, fitted, judge), reference, data, integers);
    }

    private double score(OnnxModel model, CalibrationData data) {
        try (var session = OnnxSession.open(model, s -> s.threads(settings.threads))) {
            return TaskScore.of(settings.task, session, data.batches(), data.requireLabels());
        }
    }

    private TunedModel tuned(
            Step step,
            Optional<ReferenceOutputs> reference,
            CalibrationData data,
            Optional<QuantizationResult> integers) {
        return new TunedModel(
                step.model(),
                drop(reference, original),
                drop(reference, step.model()),
                reference.isPresent()
                        ? Optional.empty()
                        : Optional.of(
                                new TaskScore(
                                        settings.task.metric(),
                                        score(original, data),
                                        score(step.model(), data))),
                step.layersFitted(),
                step.steps(),
                step.trainingHelped(),
                step.frozen(),
                integers);
    }

    private static OptionalDouble drop(Optional<ReferenceOutputs> reference, OnnxModel model) {
        return reference.isPresent()
                ? OptionalDouble.of(reference.get().drop(model))
                : OptionalDouble.empty();
    }

    private QuantizationResult integers(OnnxModel model, Inputs inputs) {
        return Quantizer.of(QuantizationMode.STATIC)
                .fittingWeights()
                .threads(settings.threads)
                .progress(at -> settings.listener.at(at.step(), at.done(), at.total()))
                .quantize(model, inputs);
    }
}
