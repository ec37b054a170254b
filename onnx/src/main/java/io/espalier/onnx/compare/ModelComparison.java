package io.espalier.onnx.compare;

import static java.util.Objects.requireNonNull;

import io.espalier.onnx.inputs.InputBatches;
import io.espalier.onnx.inputs.Signature;
import io.espalier.onnx.inputs.Task;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.proto.ValueInfoProto;
import io.espalier.onnx.repair.Repair;
import io.espalier.onnx.run.OnnxSession;
import io.espalier.onnx.run.PairedTime;
import io.espalier.onnx.run.RunningModel;
import io.espalier.onnx.run.Scatter;
import io.espalier.quant.evaluation.TensorErrors;
import io.espalier.tensor.EspalierException;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;

import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;

/**
 * What one model gives and costs beside another on the same inputs, run by ONNX Runtime, or the
 * other one otherwise. Positions that an input {@code attention_mask} [N, L] hides are left out of
 * the errors.
 *
 * <pre>{@code
 * InputBatches lines = Inputs.images(Path.of("lines"), 48, 320).normalize(0.5, 0.5).checkedFor(ocr);
 * ModelComparison found = ModelComparison.of(ocr, small, lines);
 * IO.println(found.outputs().getFirst().cosine() + ", " + found.time().speedup() + " x");
 * }</pre>
 *
 * @param examples how many both were given
 * @param batch how many examples the batch has whose time was taken, the first one
 * @param outputs the error of each output, in the first model's order
 * @param layers the error of each value of real numbers that both models make under one name and
 *     with one shape, in the first model's order, those within functions of the file too; empty if
 *     layers were left out
 * @param score how much both get right by the labels of the inputs, if they are judged by them
 * @param time of the first batch, in turns
 * @param steady whether the turns' times lie near each other; if not, something else kept the
 *     machine busy, and how much faster one is than the other is not to be trusted
 * @param referenceMemory by how many bytes the process grows when it opens the first model and runs
 *     a batch; empty where the machine does not tell
 * @param candidateMemory the same of the second model
 */
public record ModelComparison(
        long examples,
        long batch,
        List<ValueError> outputs,
        List<ValueError> layers,
        Optional<TaskScore> score,
        PairedTime time,
        boolean steady,
        OptionalLong referenceMemory,
        OptionalLong candidateMemory) {
    /** Compares two models in all they have. */
    public static ModelComparison of(
            OnnxModel reference, OnnxModel candidate, InputBatches inputs) {
        return of(reference, candidate, inputs, settings -> settings);
    }

    /**
     * Compares two models.
     *
     * @param reference the one that is held to be right
     * @param inputs for the reference
     * @throws EspalierException if ONNX Runtime refuses one, the second takes other inputs, their
     *     outputs have other names or shapes, or those of the reference say nothing
     */
    public static ModelComparison of(
            OnnxModel reference,
            OnnxModel candidate,
            InputBatches inputs,
            UnaryOperator<ComparisonSettings> how) {
        ComparisonSettings settings = how.apply(ComparisonSettings.DEFAULT);
        requireSameOutputs(reference, candidate);
        requireSameInputs(reference, candidate);
        ModelComparison whole =
                compared(reference, () -> session(candidate, settings), inputs, settings);
        if (!settings.layers()) {
            return whole;
        }
        OnnxModel first = Repair.withoutFunctions(reference);
        OnnxModel second = Repair.withoutFunctions(candidate);
        return whole.with(layers(first, LayerErrors.of(first, second, inputs, settings)));
    }

    /**
     * Compares a model with one that is run otherwise, of which nothing is known but its outputs.
     *
     * @param reference the one that is held to be right, run by ONNX Runtime
     * @param candidate makes the other one ready, which is closed afterwards
     * @param inputs for the reference
     * @throws EspalierException if ONNX Runtime refuses the first, the second takes other inputs,
     *     their outputs have other names or shapes, or those of the reference say nothing
     */
    public static ModelComparison of(
            OnnxModel reference,
            Supplier<? extends RunningModel> candidate,
            InputBatches inputs,
            UnaryOperator<ComparisonSettings> how) {
        return compared(reference, candidate, inputs, how.apply(ComparisonSettings.DEFAULT));
    }

    private static OnnxSession session(OnnxModel model, ComparisonSettings settings) {
        return OnnxSession.open(model, how -> how.threads(settings.threads()));
    }

    /** The two in all but their layers. */
    private static ModelComparison compared(
            OnnxModel reference,
            Supplier<? extends RunningModel> candidate,
            InputBatches inputs,
            ComparisonSettings settings) {
        try (var noGrad = new NoGradGuard();
                var memory = new SessionMemory(inputs)) {
            memory.warmUp(() -> session(reference, settings));
            memory.warmUp(candidate);
            RunningModel first = memory.open(() -> session(reference, settings));
            OptionalLong firstBytes = memory.grownBy();
            RunningModel second = memory.open(candidate);
            OptionalLong secondBytes = memory.grownBy();
            memory.coolDown();
            var outputs = new LinkedHashMap<String, TensorErrors>();
            Optional<Counts> counts =
                    settings.task().map(task -> new Counts(task, inputs.labels()));
            long examples = outputErrors(first, second, inputs, settings, outputs, counts);
            Timed timed = time(first, second, inputs, settings.turns());
            return new ModelComparison(
                    examples,
                    timed.batch,
                    errors(reference, outputs),
                    List.of(),
                    counts.map(Counts::score),
                    timed.time,
                    timed.steady,
                    firstBytes,
                    secondBytes);
        }
    }

    private ModelComparison with(List<ValueError> found) {
        return new ModelComparison(
                examples,
                batch,
                outputs,
                found,
                score,
                time,
                steady,
                referenceMemory,
                candidateMemory);
    }

    private static void requireSameInputs(OnnxModel reference, OnnxModel candidate) {
        var wanted = Signature.of(reference);
        var found = Signature.of(candidate);
        if (!wanted.meets(found)) {
            throw new EspalierException(
                    "The reference takes %s, the candidate %s; compare models that take the same."
                            .formatted(wanted, found));
        }
    }

    private static void requireSameOutputs(OnnxModel reference, OnnxModel candidate) {
        requireSameNames(outputs(reference), outputs(candidate));
    }

    private static void requireSameNames(Collection<String> wanted, Collection<String> found) {
        if (wanted.size() != found.size() || !found.containsAll(wanted)) {
            throw new EspalierException(
                    "The reference gives %s, the candidate %s; compare models of one purpose."
                            .formatted(wanted, found));
        }
    }

    private static List<String> outputs(OnnxModel model) {
        return model.graph().outputs().stream().map(ValueInfoProto::getName).toList();
    }

    private static long outputErrors(
            RunningModel reference,
            RunningModel candidate,
            InputBatches inputs,
            ComparisonSettings settings,
            Map<String, TensorErrors> errors,
            Optional<Counts> counts) {
        long examples = 0;
        var evidence = new Evidence();
        for (Map<String, Tensor> batch : inputs) {
            try (var scope = new PointerScope()) {
                Map<String, Tensor> expected = reference.run(batch);
                Map<String, Tensor> found = candidate.run(batch);
                requireSameNames(expected.keySet(), found.keySet());
                Padding padding = Padding.of(batch);
                expected.forEach((name, tensor) -> {
                    Tensor visible = padding.visible(tensor);
                    evidence.add(name, visible);
                    add(
                            errors.computeIfAbsent(name, k -> new TensorErrors()),
                            name,
                            visible,
                            padding.visible(requireNonNull(found.get(name))));
                });
                counts.ifPresent(c ->
                        c.add(
                                expected.values().iterator().next(),
                                requireNonNull(found.get(expected.keySet().iterator().next())),
                                InputBatches.examples(batch)));
                examples += InputBatches.examples(batch);
            }
            settings.afterBatch().run();
        }
        evidence.require();
        return examples;
    }

    private static void add(TensorErrors errors, String name, Tensor expected, Tensor found) {
        try {
            errors.add(expected, found);
        } catch (EspalierException e) {
            throw new EspalierException("Output '" + name + "': " + e.getMessage(), e);
        }
    }

    /** What both get right, batch by batch. */
    private static final class Counts {
        private final Task task;
        private final List<String> labels;
        private int seen;
        private long reference;
        private long candidate;

        Counts(Task task, List<String> labels) {
            this.task = task;
            this.labels = labels;
            if (labels.isEmpty()) {
                throw new EspalierException(
                        "The inputs have no labels; give a file of them with the inputs.");
            }
        }

        void add(Tensor expected, Tensor found, long examples) {
            int next = Math.toIntExact(seen + examples);
            reference += task.right(expected, labels.subList(seen, next));
            candidate += task.right(found, labels.subList(seen, next));
            seen = next;
        }

        TaskScore score() {
            return new TaskScore(
                    task.metric(), (double) reference / seen, (double) candidate / seen);
        }
    }

    private record Timed(long batch, PairedTime time, boolean steady) {}

    private static Timed time(
            RunningModel first, RunningModel second, InputBatches inputs, int turns) {
        try (var loop = inputs.iterator()) {
            Map<String, Tensor> batch = loop.next();
            List<PairedTime> times = PairedTime.ofTurns(first, second, batch, turns);
            return new Timed(
                    InputBatches.examples(batch), PairedTime.least(times), Scatter.isSmall(times));
        }
    }

    private static List<ValueError> errors(OnnxModel model, Map<String, TensorErrors> errors) {
        return errors.entrySet().stream()
                .map(entry -> error(model, entry.getKey(), entry.getValue(), new ShiftFreeError()))
                .toList();
    }

    private static List<ValueError> layers(OnnxModel model, Map<String, LayerErrors.Errors> all) {
        return all.entrySet().stream()
                .map(entry ->
                        error(
                                model,
                                entry.getKey(),
                                entry.getValue().all(),
                                entry.getValue().shiftFree()))
                .toList();
    }

    private static ValueError error(
            OnnxModel model, String name, TensorErrors errors, ShiftFreeError shiftFree) {
        OnnxNode producer = model.graph().producer(name);
        return ValueError.of(name, producer == null ? "" : producer.op(), errors, shiftFree);
    }
}
