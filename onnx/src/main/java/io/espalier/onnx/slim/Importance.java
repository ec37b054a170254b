package io.espalier.onnx.slim;

import io.espalier.onnx.inputs.Inputs;
import io.espalier.onnx.inputs.Task;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.slim.Group;
import io.espalier.slim.UnitSums;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;

import org.bytedeco.pytorch.Tensor;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.SequencedMap;

/** By what is chosen which units of a group go. */
public sealed interface Importance {
    /** How much each unit of a group matters; those of the lowest scores go. */
    @FunctionalInterface
    interface Scores {
        /**
         * A score for each unit, in their order.
         *
         * @param model whose constants the units' slices name
         */
        double[] of(Group group, OnnxModel model);
    }

    /** By the squares of all weights that compute and read a unit. */
    static Importance magnitude() {
        return new Scored((group, model) -> magnitude(model).of(group), "magnitude", true);
    }

    private static UnitSums magnitude(OnnxModel model) {
        Map<String, ConstantTensor> constants = model.graph().constants();
        return UnitSums.magnitude(name -> {
            ConstantTensor constant = constants.get(name);
            return constant == null ? null : constant.toTensor();
        });
    }

    /** By chance, the same for the same seed. */
    static Importance random(long seed) {
        return new Scored(
                (group, model) ->
                        new Random(seed + group.number()).doubles(group.units().size()).toArray(),
                "random " + seed,
                false);
    }

    /**
     * By what the layers that read a unit give because of it: the squares of their weights times
     * those of what they are given.
     */
    static Importance activation(Inputs calibration) {
        return new OnData(Needed.of(calibration, "the calibration data"), false);
    }

    /**
     * By what the layers that read a unit lose if it goes and what stays makes up for it: their
     * weights and biases are solved anew by least squares, to give what they gave before.
     *
     * @see io.espalier.slim.BrainSurgeon
     */
    static Importance secondOrder(Inputs calibration) {
        return new OnData(Needed.of(calibration, "the calibration data"), true);
    }

    /**
     * By the absolute value of the scale that a BatchNormalization gives a channel, which training
     * with a penalty on scales makes small (Liu et al., <a
     * href="https://arxiv.org/abs/1708.06519">Learning Efficient Convolutional Networks through
     * Network Slimming</a>, 2017). It is the scale in the file as it came in, where the
     * normalization is not yet part of the convolution before it. Groups without one are chosen by
     * magnitude.
     */
    static Importance batchNormScale() {
        return new BatchNormScale();
    }

    /**
     * By what results lose without a unit, to first order and without labels: the square of what
     * the weights that read it times their gradients sum to, as a mean over examples. It is the
     * gradient of the results with random signs, so that its squares are those of all results.
     *
     * @see #gradient(Inputs, Loss)
     */
    static Importance gradient(Inputs calibration) {
        return new OnGradients(Needed.of(calibration, "the calibration data"), Optional.empty());
    }

    /**
     * By what the labels' loss changes without a unit, to first order.
     *
     * @param labelled inputs with labels
     * @param task what they mean
     * @see #gradient(Inputs, Loss)
     */
    static Importance gradient(Inputs labelled, Task task) {
        Needed.of(task, "the task");
        return gradient(
                labelled,
                (results, labels) ->
                        task.loss(results.firstEntry().getValue(), requireLabels(labels)));
    }

    private static List<String> requireLabels(List<String> labels) {
        if (labels.isEmpty()) {
            throw new EspalierException("The inputs have no labels, and the loss is of those.");
        }
        return labels;
    }

    /**
     * By what a loss changes without a unit, to first order: the square of what the weights that
     * read it times their gradients sum to, as a mean over examples (Molchanov et al., <a
     * href="https://arxiv.org/abs/1906.10771">Importance Estimation for Neural Network Pruning</a>,
     * 2019). Units that no constant weights read are judged by all their weights.
     *
     * @param calibration typical inputs, of which the first 64 examples are looked at
     */
    static Importance gradient(Inputs calibration, Loss loss) {
        return new OnGradients(
                Needed.of(calibration, "the calibration data"),
                Optional.of(Needed.of(loss, "the loss")));
    }

    /** What training would make smaller. */
    @FunctionalInterface
    interface Loss {
        /**
         * A scalar that follows from the results by operations that have gradients.
         *
         * @param results by name, in the model's order
         * @param labels of the examples; none if the inputs have none
         */
        Tensor of(SequencedMap<String, Tensor> results, List<String> labels);
    }

    /** By scores of one's own. */
    static Importance of(Scores scores) {
        return new Scored(Needed.of(scores, "the scores"), "scores", false);
    }

    /** The inputs that it needs; empty if none. */
    default Optional<Inputs> data() {
        return switch (this) {
            case OnData onData -> Optional.of(onData.calibration());
            case OnGradients gradients -> Optional.of(gradients.calibration());
            case Scored scored -> Optional.empty();
            case BatchNormScale scale -> Optional.empty();
        };
    }

    /** What it is called. */
    default String name() {
        return switch (this) {
            case OnData onData -> onData.solves() ? "second order" : "activations";
            case OnGradients gradients -> "gradients";
            case Scored scored -> scored.words();
            case BatchNormScale scale -> "scales";
        };
    }

    /** Whether it says as much of weights that compute the same in other axes of each head. */
    default boolean turnsHeads() {
        return !(this instanceof Scored scored) || scored.turnsHeads();
    }

    /** Without data. */
    record Scored(Scores scores, String words, boolean turnsHeads) implements Importance {}

    /** By scales of batch normalizations. */
    record BatchNormScale() implements Importance {}

    /**
     * By gradients.
     *
     * @param loss of what; of the results themselves if it is empty
     */
    record OnGradients(Inputs calibration, Optional<Loss> loss) implements Importance {}

    /**
     * With data.
     *
     * @param solves whether what stays makes up for what goes
     */
    record OnData(Inputs calibration, boolean solves) implements Importance {}
}
