package io.espalier.onnx.slim;

import io.espalier.onnx.fit.StreamBudget;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.quant.CalibrationData;
import io.espalier.onnx.slim.SlimResult.Row;
import io.espalier.slim.Group;
import io.espalier.slim.Unit;
import io.espalier.tensor.EspalierException;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.IntStream;

/**
 * A share of the channels of an ONNX model taken out, by how much they matter. It never changes:
 * each setting gives another.
 *
 * <pre>{@code
 * SlimResult result = OnnxSlimmer.of(model)
 *         .ratio(0.75)
 *         .importance(Importance.secondOrder(inputs))
 *         .run();
 * result.model().save(Path.of("slim.onnx"));
 * }</pre>
 */
public final class Slimming {
    /** More examples make the choice no better. */
    private static final int MOST_EXAMPLES = 1024;

    /** Widths from here on stay multiples of what kernels take at once. */
    private static final int WIDE = 128;

    private static final int NARROW = 32;
    private static final int LANES = 16;

    private final OnnxSlimmer slimmer;
    private final double ratio;
    private final Importance importance;
    private final Listener listener;

    Slimming(OnnxSlimmer slimmer, double ratio, Importance importance, Listener listener) {
        this.slimmer = slimmer;
        this.ratio = ratio;
        this.importance = importance;
        this.listener = listener;
    }

    /** Is told how far a slimming is. */
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

    /** By what is chosen which units go; {@link Importance#magnitude} if it isn't set. */
    public Slimming importance(Importance by) {
        return new Slimming(slimmer, ratio, by, listener);
    }

    /** Tells somebody how far it is. */
    public Slimming progress(Listener told) {
        return new Slimming(slimmer, ratio, importance, told);
    }

    /**
     * Takes them out, all or none.
     *
     * @throws EspalierException if calibration data doesn't fit the model, or scores of one's own
     *     are not one for each unit
     */
    public SlimResult run() {
        return switch (importance) {
            case Importance.Scored scored -> new Run(slimmer).byScores(scored.scores());
            case Importance.OnData onData -> {
                OnnxSlimmer given = onData.solves() ? slimmer.withConvolutionBiases() : slimmer;
                yield new Run(given).onData(onData);
            }
        };
    }

    /** How many units of a group stay: of wide groups multiples of what kernels take at once. */
    static int width(Group group, double ratio) {
        int count = group.units().size();
        boolean single =
                group.units().getFirst().slices().values().stream().allMatch(i -> i.length == 1);
        int lanes = count >= WIDE ? LANES : count >= NARROW ? LANES / 2 : 1;
        int step = single && count % lanes == 0 ? lanes : 1;
        // Halves go down, so that no more stays than was asked for.
        long steps = (long) Math.ceil(ratio * count / step - 0.5);
        return Math.clamp(steps * step, Math.min(step, count), count);
    }

    /** So many of these units whose scores are the lowest, of equal ones the first. */
    static List<Unit> lowest(List<Unit> units, double[] scores, int count) {
        return IntStream.range(0, units.size())
                .boxed()
                .sorted(Comparator.comparingDouble(i -> scores[i]))
                .limit(count)
                .<Unit>map(units::get)
                .toList();
    }

    /** One slimming on its way. */
    private final class Run {
        private final OnnxSlimmer of;
        private final Map<Group, Integer> widths = new LinkedHashMap<>();
        private final List<Unit> gone = new ArrayList<>();
        private final Map<Group, String> by = new LinkedHashMap<>();

        Run(OnnxSlimmer of) {
            this.of = of;
            of.independent().forEach(group -> widths.put(group, width(group, ratio)));
        }

        SlimResult byScores(Importance.Scores scores) {
            widths.keySet().forEach(group -> leastOf(group, scores, "scores"));
            return result(of.model());
        }

        SlimResult onData(Importance.OnData importance) {
            listener.at("running the model", 0, 1);
            try (var data =
                    CalibrationData.read(of.model(), importance.calibration(), MOST_EXAMPLES)) {
                var some = StreamBudget.asMuchAsFits(of.model(), data.batches());
                List<End> ends = of.analysis().ends();
                boolean solves = importance.solves();
                try (var choice = new LayerwiseChoice(of.model(), ends, widths, solves, some)) {
                    choice.run(listener);
                    gone.addAll(choice.gone());
                    String words = solves ? "second order" : "activations";
                    for (Group group : widths.keySet()) {
                        if (choice.knows(group)) {
                            by.put(group, words);
                        } else {
                            var magnitude = (Importance.Scored) Importance.magnitude();
                            String why = "magnitude: no layer that reads it can be weighed";
                            leastOf(group, magnitude.scores(), why);
                        }
                    }
                    return result(choice.solved());
                }
            }
        }

        private void leastOf(Group group, Importance.Scores scores, String words) {
            double[] each = scores.of(group, of.model());
            List<Unit> units = group.units();
            if (each.length != units.size()) {
                throw new EspalierException(
                        "Group %s has %d units and got %d scores; give one for each."
                                .formatted(group.place(), units.size(), each.length));
            }
            by.put(group, words);
            int left = widths.getOrDefault(group, units.size());
            gone.addAll(lowest(units, each, units.size() - left));
        }

        private SlimResult result(OnnxModel solved) {
            List<Unit> removed = of.leavingSome(gone);
            OnnxModel slim = of.remove(removed, solved);
            Set<Unit> all = new HashSet<>(removed);
            List<Row> rows = new ArrayList<>();
            for (Group group : of.groups().all()) {
                long left = group.units().stream().filter(unit -> !all.contains(unit)).count();
                String words = by.getOrDefault(group, "not chosen");
                rows.add(new Row(group, (int) left, words));
            }
            OnnxModel written = of == slimmer ? slim : ConvolutionBiases.withoutZeros(slim);
            return new SlimResult(written, rows, of.groups());
        }
    }
}
