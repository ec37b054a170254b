package io.espalier.onnx.tune;

import io.espalier.onnx.inputs.Inputs;
import io.espalier.onnx.inputs.Task;
import io.espalier.onnx.model.FiniteWeights;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.repair.Repair;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;

import java.nio.file.Path;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.function.Consumer;
import java.util.function.UnaryOperator;

/**
 * Gives an ONNX model its accuracy back after it was pruned, or puts it into 8-bit integers and
 * fits it there. It needs inputs, and a teacher or labels.
 *
 * <pre>{@code
 * TunedModel tuned = FineTuner.distilling(model).tune(pruned, lines);
 * tuned.model().save(Path.of("tuned.onnx"));
 * }</pre>
 *
 * <p>With a teacher, which is the float model that the pruned one was made of, layers are fitted
 * first, one after the other and without gradients: each gives, of what the fitted layers before it
 * give, what the teacher's layer gives, as nearly as least squares can. That takes seconds to
 * minutes and needs no labels, and libtorch need not know the model's operators. Training by
 * gradients, against the teacher's results or against labels, can follow; it needs a model that
 * {@link io.espalier.onnx.lower.Lowering} knows. Normalizations keep their running statistics. A
 * teacher is asked about inputs that vary each time, and about values inside that both models have;
 * so a few hundred inputs are enough.
 *
 * <p>At most 256 examples are looked at, and fewer large ones, so that memory stays bounded.
 *
 * <p>What is zero in a weight stays zero. The file's weights and biases change, and nothing else in
 * it. A fine-tuner never changes: each setting gives another.
 */
public final class FineTuner {
    /** A year, of which seconds can be counted. */
    private static final int MOST_MINUTES = 365 * 24 * 60;

    private final FineTuningSettings settings;

    private FineTuner(FineTuningSettings settings) {
        this.settings = settings;
    }

    /** Is told how far a fine-tuning is. */
    @FunctionalInterface
    public interface Listener {
        /**
         * Something was done.
         *
         * @param stage what is being done, in words
         * @param done how much of it
         * @param total how much there is of it in all
         */
        void at(String stage, long done, long total);
    }

    /**
     * Learns from another model what is right: no labels are needed.
     *
     * @param teacher the float model, with results of the same names
     */
    public static FineTuner distilling(OnnxModel teacher) {
        OnnxModel apart = Repair.withoutFunctions(Needed.of(teacher, "the teacher"));
        return new FineTuner(new FineTuningSettings()).with(s -> s.teacher = Optional.of(apart));
    }

    /**
     * Learns from the labels of the inputs: class numbers from 0 on, which the model's first result
     * has a score each for, [N, C].
     */
    public static FineTuner byLabels() {
        return byLabels(Task.classes());
    }

    /**
     * Learns from the labels of the inputs.
     *
     * @param task what they mean: class numbers, or texts
     */
    public static FineTuner byLabels(Task task) {
        Needed.of(task, "the task");
        return new FineTuner(new FineTuningSettings()).with(s -> s.task = task);
    }

    private FineTuner with(Consumer<FineTuningSettings> change) {
        return new FineTuner(settings.with(change));
    }

    /**
     * How often to train on all inputs by gradients; unless it is set, as long as {@link #minutes}
     * says, or 10 times by labels or in integers, else not at all. After each time the file is
     * measured on the inputs, and the best is taken, or what there was before where none is better.
     *
     * @param count 0 or more
     */
    public FineTuner epochs(int count) {
        require(count >= 0, "Epochs are 0 or more, not " + count + ".");
        return with(s -> s.epochs = OptionalInt.of(count));
    }

    /**
     * Trains by gradients for so many minutes, or ends the epochs that are set after them.
     *
     * @param most above 0, at most 525600, a year
     */
    public FineTuner minutes(double most) {
        require(
                most > 0 && most <= MOST_MINUTES,
                "Training takes some time above 0 minutes and at most %d, a year; not %s."
                        .formatted(MOST_MINUTES, most));
        return with(s -> s.minutes = OptionalDouble.of(most));
    }

    /**
     * The rate at which gradients move weights (Adam's), in units of the root mean square of their
     * channel, falling to 0 along half a cosine. Unless it is set it is 2e-4; where a teacher is
     * followed for five minutes or more, it is the best of 2e-4, 6e-4 and 2e-3 after a short trial
     * of each. In integers it is in units of a weight's integer, and 0.01 unless it is set.
     *
     * @param rate above 0, at most 1000
     */
    public FineTuner learningRate(double rate) {
        require(
                rate > 0 && rate <= 1000,
                "A learning rate is above 0 and at most 1000, not " + rate + ".");
        return with(s -> s.learningRate = OptionalDouble.of(rate));
    }

    /** Seeds the order in which batches are trained on. */
    public FineTuner seed(long seed) {
        return with(s -> s.seed = seed);
    }

    /**
     * Puts all layers that can be into 8-bit integers, fitted to the teacher's by least squares as
     * ONNX Runtime's integer kernels compute them ({@link
     * io.espalier.onnx.quant.QuantizationMode#STATIC}).
     */
    public FineTuner toIntegers() {
        return with(s -> s.integers = true);
    }

    /**
     * Puts all layers that can be into 8-bit integers as {@link #toIntegers} does, and then trains
     * them by gradients, rounded as the integers are (quantization-aware training: Jacob et al., <a
     * href="https://arxiv.org/abs/1712.05877">Quantization and Training of Neural Networks</a>,
     * 2018). The ranges stay those that were fitted; weights and biases train, and what is written
     * is the integers nearest to them.
     */
    public FineTuner trainingIntegers() {
        return with(s -> {
            s.integers = true;
            s.trainsIntegers = true;
        });
    }

    /**
     * How many threads ONNX Runtime uses; all cores unless it is set.
     *
     * @param count from 1 to 1024
     */
    public FineTuner threads(int count) {
        require(
                count >= 1 && count <= 1024,
                "A session has from 1 to 1024 threads, not " + count + ".");
        return with(s -> s.threads = count);
    }

    /**
     * Writes what it has reached to a folder from time to time, which is one run's until that has
     * ended.
     *
     * @param goOn whether to go on from what an earlier run left there, which must be of the same
     *     model, teacher, data and settings, but for threads and minutes; else it goes
     */
    public FineTuner checkpoints(Path folder, boolean goOn) {
        Needed.of(folder, "the folder of checkpoints");
        return with(s -> {
            s.checkpoints = Optional.of(folder);
            s.start = goOn ? Checkpoint.Start.GOING_ON : Checkpoint.Start.ANEW;
        });
    }

    FineTuningSettings settings() {
        return settings;
    }

    /** The same with another teacher, if it learns from one. */
    FineTuner taught(UnaryOperator<OnnxModel> by) {
        return with(s -> s.teacher = s.teacher.map(by));
    }

    /** The same for one of several rounds, which share the epochs and minutes that are set. */
    FineTuner ofRounds(int rounds) {
        return new FineTuner(settings.ofRounds(rounds));
    }

    /** Tells somebody how far it is. */
    public FineTuner progress(Listener listener) {
        Needed.of(listener, "the listener");
        return with(s -> s.listener = listener);
    }

    private static void require(boolean holds, String message) {
        if (!holds) {
            throw new EspalierException(message);
        }
    }

    /**
     * Fine-tunes a model, which stays as it is. Functions of its own come apart.
     *
     * @param data inputs of the kind that the model is for; labels too, where they are learned from
     * @throws EspalierException if the data does not fit the model, the teacher has none of its
     *     results, labels are missing, gradients are asked for and libtorch lacks an operator, or
     *     the checkpoint to go on from is damaged or of another fine-tuning; the message names it
     */
    public TunedModel tune(OnnxModel model, Inputs data) {
        Needed.of(model, "the model");
        Needed.of(data, "the data");
        FiniteWeights.require(model);
        try (var checkpoint =
                settings.checkpoints
                        .map(folder -> Checkpoint.open(folder, settings.start))
                        .orElseGet(Checkpoint::none)) {
            return new FineTuningRun(Repair.withoutFunctions(model), settings, checkpoint)
                    .run(data);
        }
    }
}
