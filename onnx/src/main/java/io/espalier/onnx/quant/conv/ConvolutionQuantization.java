package io.espalier.onnx.quant.conv;

import io.espalier.onnx.fit.Decibels;
import io.espalier.onnx.fit.ReferenceStream;
import io.espalier.onnx.fit.StreamBudget;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * Puts regions of a convolutional network on ONNX Runtime's 8-bit kernels, where they save time,
 * and fits them to data, layer after layer.
 */
public final class ConvolutionQuantization {
    /** Prices of error, in milliseconds, are looked for from 1 on, in steps of this factor. */
    private static final double PRICE_STEP = 8;

    private static final double HIGHEST_PRICE = 1e12;
    private static final int PRICE_STEPS = 8;

    private final OnnxModel model;
    private final List<Unit> units;
    private final WeightRounding rounding;
    private boolean fitsWeights;
    private Learned learned = Learned.NOTHING;
    private StepListener listener = (done, all) -> {};
    private Map<String, Double> losses = Map.of();
    private @Nullable Placement placement;
    private Map<String, double[]> means = Map.of();

    private ConvolutionQuantization(
            OnnxModel model, List<Unit> units, WeightRounding rounding, boolean fitsWeights) {
        this.model = model;
        this.units = units;
        this.rounding = rounding;
        this.fitsWeights = fitsWeights;
    }

    /**
     * This, with weights moved before they are rounded, by least squares, so that each layer gives
     * of its quantized input what it gave of the float one. Weights that are zero stay zero.
     */
    public ConvolutionQuantization fittingWeights() {
        fitsWeights = true;
        return this;
    }

    /** Whether weights are moved, too. */
    public boolean fitsWeights() {
        return fitsWeights;
    }

    /**
     * Looks at a repaired model, which stays as it is.
     *
     * @param mayBeIntegers which nodes need not stay in floats, nor keep their weights so
     * @param reducedRange whether weights keep to 7 bits
     */
    public static ConvolutionQuantization of(
            OnnxModel model, Predicate<OnnxNode> mayBeIntegers, boolean reducedRange) {
        List<Unit> units =
                UnitFinder.find(model.graph()).stream()
                        .filter(unit -> unit.nodes().stream().allMatch(mayBeIntegers))
                        .toList();
        return new ConvolutionQuantization(
                model,
                units,
                new WeightRounding(reducedRange ? 63 : 127, true, mayBeIntegers, false),
                false);
    }

    /**
     * A model with weights of float operators kept in 8 bits, rounded to nearest.
     *
     * @param which the nodes of which
     * @param reducedRange whether weights keep to 7 bits
     * @param perTensor whether all channels of a weight share one scale
     */
    public static OnnxModel stored(
            OnnxModel model, Predicate<OnnxNode> which, boolean reducedRange, boolean perTensor) {
        var rounding = new WeightRounding(reducedRange ? 63 : 127, true, which, perTensor);
        return new RegionWriter(model, new Unfitted(), rounding).write(List.of());
    }

    /** The same with one scale for all channels of a weight. */
    public ConvolutionQuantization perTensor() {
        return new ConvolutionQuantization(model, units, rounding.withOneScale(), fitsWeights);
    }

    /** Is told how far the writing of a model is. */
    @FunctionalInterface
    public interface StepListener {
        /** So many layers are done. */
        void at(int done, int all);
    }

    /** This, which tells somebody how far each fit is. */
    public ConvolutionQuantization telling(StepListener told) {
        listener = told;
        return this;
    }

    /** A model, what became of its layers, and how many of them are in integers. */
    public record Fitted(OnnxModel model, List<LayerReport> layers, int inIntegers) {
        /** Copies the list. */
        public Fitted {
            layers = List.copyOf(layers);
        }
    }

    /** What became of a layer, and why. */
    public record LayerReport(
            String name, String operators, boolean inIntegers, boolean hasWeight, String why) {}

    List<Unit> units() {
        return units;
    }

    /** Whether there is nothing that could be in integers. */
    public boolean isEmpty() {
        return units.isEmpty();
    }

    /** Which part of the convolutions that could be in integers have channels for themselves. */
    public double shareOfDepthwise() {
        List<OnnxNode> convolutions =
                units.stream()
                        .filter(Unit.Convolution.class::isInstance)
                        .map(unit -> unit.nodes().getFirst())
                        .toList();
        long depthwise =
                convolutions.stream()
                        .filter(node -> {
                            ConstantTensor weight = model.graph().constant(node.input(1));
                            return weight != null
                                    && node.integer("group", 1) > 1
                                    && weight.shape().get(1) == 1;
                        })
                        .count();
        return depthwise / Math.max(1.0, convolutions.size());
    }

    /** All layers that could be in integers. */
    public List<Layer> layers() {
        return units.stream().map(Layer::new).toList();
    }

    /** A layer that could be in integers. */
    public static final class Layer {
        private final Unit unit;

        private Layer(Unit unit) {
            this.unit = unit;
        }

        /** Its node's name. */
        public String name() {
            return unit.name();
        }

        /** What it consists of. */
        public String operators() {
            return ConvolutionQuantization.operators(unit);
        }
    }

    /** The model with one layer in integers, fitted to the data, and nothing else changed. */
    public OnnxModel alone(Layer layer, List<Map<String, Tensor>> data) {
        var nothingStored = new WeightRounding(rounding.limit(), false);
        return written(List.of(layer.unit), data, nothingStored);
    }

    private static String operators(Unit unit) {
        return unit.nodes().stream().map(OnnxNode::op).collect(Collectors.joining(" "));
    }

    /**
     * Measures what each unit takes in floats and in integers, on one batch.
     *
     * @return the times by names, for {@link #recallTimes}
     */
    public Map<String, Double> measured(Map<String, Tensor> inputs, int threads) {
        return Placement.measured(model, units, rounding, inputs, threads).numbers();
    }

    /** Takes times that were measured for true. */
    public void recallTimes(Map<String, Double> times) {
        placement = Placement.of(model, units, times);
    }

    /** What fits found of the model's values until now, by names. */
    public Map<String, Double> learned() {
        return learned.numbers();
    }

    /** Knows what fits found, and nothing else. */
    public void recallFits(Map<String, Double> found) {
        learned = Learned.of(found);
    }

    /**
     * Finds what the results lose by each value that becomes codes, by the codes of the last fit.
     *
     * @param floats the model with all in floats
     * @return the losses by the values' names, for {@link #recallLosses}; none if they could not be
     *     found
     */
    public Map<String, Double> losses(
            OnnxModel floats, List<Map<String, Tensor>> data, Projection projection) {
        var values = new LinkedHashSet<String>();
        units.forEach(unit -> {
            values.addAll(unit.coded());
            values.addAll(unit.inner());
        });
        return CodeLosses.of(floats, values, learned.codes(), data, projection).orElse(Map.of());
    }

    /** Counts these as the values' errors from here on, if there are any. */
    public void recallLosses(Map<String, Double> found) {
        losses = Map.copyOf(found);
    }

    /** A number for the errors of all results, whose gradient by them is theirs with signs. */
    @FunctionalInterface
    public interface Projection {
        /**
         * The sum of a batch's results, each with a sign of its own and scaled so that the square
         * of a small change to an example is what its results lose by it.
         */
        Tensor of(Map<String, Tensor> inputs, Map<String, Tensor> results);
    }

    /**
     * The layers that should be in integers for the fastest model of those whose errors stay below
     * a limit; all that save time where there is no limit.
     *
     * @param allowed for the sum of the errors of values that become codes
     * @param spared the part of the layers, the first ones, that stay in floats: what these lose,
     *     all others amplify
     */
    public Choice fastest(double allowed, double spared) {
        Placement measured = placement;
        if (measured == null) {
            return new Choice(units);
        }
        var first = new HashSet<>(units.subList(0, (int) (spared * units.size())));
        List<Unit> best = measured.best(first, value -> 0);
        double low = 0;
        double high = 1;
        while (errors(best) > allowed && high < HIGHEST_PRICE) {
            double price = high;
            best = measured.best(first, value -> price * error(value));
            low = errors(best) > allowed ? high : low;
            high *= PRICE_STEP;
        }
        high /= PRICE_STEP;
        for (int step = 0; step < PRICE_STEPS && low > 0; step++) {
            double middle = Math.sqrt(low * high);
            List<Unit> found = measured.best(first, value -> middle * error(value));
            if (errors(found) > allowed) {
                low = middle;
            } else {
                high = middle;
                best = found;
            }
        }
        return new Choice(best);
    }

    /** How many times faster these layers make the model, by the times that are known; else 1. */
    public double speedup(Choice choice) {
        Placement measured = placement;
        return measured == null ? 1 : measured.speedup(choice.units);
    }

    /** The layers of these names. */
    public Choice choice(Set<String> names) {
        return new Choice(units.stream().filter(unit -> names.contains(unit.name())).toList());
    }

    /** Layers that were chosen for integers. */
    public static final class Choice {
        private final List<Unit> units;

        private Choice(List<Unit> units) {
            this.units = List.copyOf(units);
        }

        /** Whether there are none. */
        public boolean isEmpty() {
            return units.isEmpty();
        }

        /** Their nodes' names. */
        public List<String> names() {
            return units.stream().map(Unit::name).toList();
        }

        @Override
        public boolean equals(@Nullable Object other) {
            return other instanceof Choice choice && choice.units.equals(units);
        }

        @Override
        public int hashCode() {
            return units.hashCode();
        }
    }

    /** The sum of the errors that layers had when they were last fitted. */
    public double errorsOf(Choice choice) {
        return errors(choice.units);
    }

    private double errors(List<Unit> of) {
        return of.stream()
                .flatMap(unit -> Stream.concat(unit.coded().stream(), unit.inner().stream()))
                .distinct()
                .mapToDouble(this::error)
                .sum();
    }

    /** What a value loses as codes: of the results where that is known, else of its squares. */
    private double error(String value) {
        return (losses.isEmpty() ? learned.errors() : losses).getOrDefault(value, 0.0);
    }

    /** The model with these layers in integers, fitted to the data. */
    public Fitted fit(List<Map<String, Tensor>> data, Choice choice) {
        return fitted(choice.units, data);
    }

    /** The model with all units in integers, fitted to the data. */
    public Fitted fitAll(List<Map<String, Tensor>> data) {
        return fitted(units, data);
    }

    /** The model with weights kept in 8 bits, all computed in floats. */
    public Fitted store(List<Map<String, Tensor>> data) {
        return fitted(List.of(), data);
    }

    Fitted fitted(Collection<Unit> placed, List<Map<String, Tensor>> data) {
        OnnxModel written = written(placed, data, rounding);
        return new Fitted(written, reports(new HashSet<>(placed)), placed.size());
    }

    private OnnxModel written(
            Collection<Unit> placed, List<Map<String, Tensor>> all, WeightRounding how) {
        List<Map<String, Tensor>> data = fitsWeights ? StreamBudget.asMuchAsFits(model, all) : all;
        if (means.isEmpty() && !fitsWeights) {
            means = FloatMeans.of(model, convolutions(), data);
        }
        OnnxModel versions = model.withOpset(OnnxNode.MICROSOFT, 1);
        Optional<ReferenceStream> reference =
                fitsWeights ? Optional.of(new ReferenceStream(model, data)) : Optional.empty();
        try (var calibrator = new InSequence(versions, data, means, reference)) {
            var writer = new RegionWriter(model, calibrator, how);
            OnnxModel written = writer.write(placed, listener);
            learned = learned.then(calibrator.errors(), writer.codes());
            return written;
        }
    }

    private List<String> convolutions() {
        return model.graph().nodes().stream()
                .filter(node -> node.is("Conv"))
                .map(OnnxNode::output)
                .toList();
    }

    private List<LayerReport> reports(Set<Unit> placed) {
        var reports = new ArrayList<LayerReport>();
        for (Unit unit : units) {
            reports.add(
                    new LayerReport(
                            unit.name(),
                            operators(unit),
                            placed.contains(unit),
                            unit instanceof Unit.Convolution,
                            why(unit)));
        }
        return reports;
    }

    private String why(Unit unit) {
        var words = new ArrayList<String>();
        Placement measured = placement;
        if (measured != null) {
            words.add(
                    String.format(
                            Locale.ROOT,
                            "float %.3f ms, int8 %.3f ms",
                            measured.floatTime(unit),
                            measured.integerTime(unit)));
        }
        double error =
                unit instanceof Unit.Convolution convolution
                        ? learned.errors().getOrDefault(convolution.raw(), 0.0)
                        : 0;
        double loss =
                Stream.concat(unit.inner().stream(), Stream.of(unit.output()))
                        .mapToDouble(value -> losses.getOrDefault(value, 0.0))
                        .sum();
        if (loss > 0) {
            words.add(String.format(Locale.ROOT, "codes cost about %.1e of results", loss));
        } else if (error > 0) {
            words.add(Decibels.ofSquares(error));
        }
        return words.isEmpty() ? "as asked" : String.join(", ", words);
    }
}
