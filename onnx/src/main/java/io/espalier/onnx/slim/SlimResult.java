package io.espalier.onnx.slim;

import io.espalier.onnx.inputs.Inputs;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.quant.CalibrationData;
import io.espalier.onnx.quant.ReferenceOutputs;
import io.espalier.onnx.run.PairedTime;
import io.espalier.onnx.shape.ModelCost;
import io.espalier.slim.Group;
import io.espalier.slim.GroupCost;
import io.espalier.slim.Groups;
import io.espalier.tensor.Needed;

import java.util.List;
import java.util.Optional;

/**
 * What a slimming came to.
 *
 * @param model the slimmer model
 * @param rows one for each group, in their order
 * @param unit what the costs in the rows are counted in, such as ms or MACs
 * @param groups what goes together, and what stays for which reason
 * @param values what is left of the values inside
 */
public record SlimResult(
        OnnxModel model, List<Row> rows, String unit, Groups groups, ValuesLeft values) {
    /** The least of so many tells models from each other that are some hundredths apart. */
    static final int SESSIONS = 3;

    private static final int MOST_SESSIONS = 6;
    private static final int MOST_EXAMPLES = 256;

    /** Copies the list. */
    public SlimResult {
        rows = List.copyOf(rows);
    }

    /** Where nobody asks what is left of the values inside. */
    public SlimResult(OnnxModel model, List<Row> rows, String unit, Groups groups) {
        this(model, rows, unit, groups, ValuesLeft.ALL);
    }

    /**
     * A group.
     *
     * @param left how many of its units are left
     * @param by how they were chosen
     * @param spent what it costs and loses, where that was asked for
     */
    public record Row(Group group, int left, String by, Optional<GroupCost> spent) {}

    /**
     * Beside the model that came in.
     *
     * @param time the least of each on one batch
     * @param drop 1 less the cosine of the results, as a mean
     */
    public record Measured(PairedTime time, double drop) {}

    /**
     * Runs both models.
     *
     * @param original the model that came in
     * @throws io.espalier.tensor.EspalierException if the inputs are not what they take
     */
    public Measured measure(OnnxModel original, Inputs inputs) {
        Needed.of(original, "the model that came in");
        Needed.of(inputs, "the inputs");
        return new Measured(time(original, model, inputs), drop(original, model, inputs));
    }

    /**
     * The times of two models on the first batch; again while the second is not faster, since what
     * else runs on the machine only ever adds.
     */
    public static PairedTime time(OnnxModel original, OnnxModel slim, Inputs inputs) {
        return PairedTime.least(turns(original, slim, inputs));
    }

    /** The same turn by turn. */
    public static List<PairedTime> turns(OnnxModel original, OnnxModel slim, Inputs inputs) {
        try (var data = CalibrationData.read(original, inputs, 1)) {
            return PairedTime.turnsOfSessions(
                    original,
                    slim,
                    data.batches().getFirst(),
                    (least, sessions) ->
                            sessions < SESSIONS
                                    || (sessions < MOST_SESSIONS && least.speedup() < 1));
        }
    }

    /**
     * What a model costs in a run with one example, of the extents that the first batch has.
     *
     * @throws io.espalier.tensor.EspalierException if the inputs are not what it takes
     */
    public static ModelCost cost(OnnxModel model, Inputs inputs) {
        return ModelCost.of(model, ExampleExtents.of(model, inputs));
    }

    /** How far the results of the second are from those of the first: 1 less their cosine. */
    public static double drop(OnnxModel original, OnnxModel slim, Inputs inputs) {
        int threads = Runtime.getRuntime().availableProcessors();
        try (var data = CalibrationData.read(original, inputs, MOST_EXAMPLES)) {
            return ReferenceOutputs.of(original, data.batches(), threads).drop(slim);
        }
    }
}
