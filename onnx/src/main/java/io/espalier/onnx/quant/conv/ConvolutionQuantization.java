package io.espalier.onnx.quant.conv;

import io.espalier.onnx.fit.ReferenceStream;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;
import java.util.stream.Collectors;

/**
 * Puts regions of a convolutional network on ONNX Runtime's 8-bit kernels, where they save time,
 * and fits them to data, layer after layer.
 */
public final class ConvolutionQuantization {
    private final OnnxModel model;
    private final List<Unit> units;
    private final WeightRounding rounding;
    private final boolean fitsWeights;
    private final Map<String, Double> errors = new HashMap<>();
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
     * The same, with weights moved before they are rounded, by least squares, so that each layer
     * gives of its quantized input what it gave of the float one. Weights that are zero stay zero.
     */
    public ConvolutionQuantization fittingWeights() {
        return new ConvolutionQuantization(model, units, rounding, true);
    }

    /**
     * Looks at a repaired model, which stays as it is.
     *
     * @param mayBeIntegers which nodes need not stay in floats
     * @param reducedRange whether weights keep to 7 bits
     */
    public static ConvolutionQuantization of(
            OnnxModel model, Predicate<OnnxNode> mayBeIntegers, boolean reducedRange) {
        List<Unit> units =
                UnitFinder.find(model.graph()).stream()
                        .filter(unit -> unit.nodes().stream().allMatch(mayBeIntegers))
                        .toList();
        return new ConvolutionQuantization(
                model, units, new WeightRounding(reducedRange ? 63 : 127, true), false);
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

    /** Measures what each unit takes in floats and in integers, on one batch. */
    public void measure(Map<String, Tensor> inputs, int threads) {
        placement = Placement.measured(model, units, rounding, inputs, threads);
    }

    /**
     * The model with those units in integers that save time, fitted to the data.
     *
     * @param price how many milliseconds all the error that integers brought in the last fit is
     *     worth; 0 for the fastest model
     */
    public Fitted fit(List<Map<String, Tensor>> data, double price) {
        Placement measured = placement;
        if (measured == null) {
            return fitted(units, data);
        }
        double all = Math.max(errors.values().stream().mapToDouble(e -> e).sum(), 1e-12);
        return fitted(measured.best(unit -> price * error(unit) / all), data);
    }

    /** What all units would save in integers, in milliseconds. */
    public double mostGain() {
        Placement measured = placement;
        return measured == null
                ? 0
                : units.stream()
                        .mapToDouble(u -> measured.floatTime(u) - measured.integerTime(u))
                        .filter(gain -> gain > 0)
                        .sum();
    }

    /** The model with all units in integers, fitted to the data. */
    public Fitted fitAll(List<Map<String, Tensor>> data) {
        return fitted(units, data);
    }

    /** The model with weights kept in 8 bits, all computed in floats. */
    public Fitted store(List<Map<String, Tensor>> data) {
        return fitted(List.of(), data);
    }

    private double error(Unit unit) {
        return unit instanceof Unit.Convolution convolution
                ? errors.getOrDefault(convolution.raw(), 0.0)
                : 0;
    }

    Fitted fitted(Collection<Unit> placed, List<Map<String, Tensor>> data) {
        if (means.isEmpty()) {
            means = FloatMeans.of(model, convolutions(), data);
        }
        OnnxModel versions = model.withOpset(OnnxNode.MICROSOFT, 1);
        Optional<ReferenceStream> reference =
                fitsWeights ? Optional.of(new ReferenceStream(model, data)) : Optional.empty();
        try (var calibrator = new InSequence(versions, data, means, reference)) {
            OnnxModel written = new RegionWriter(model, calibrator, rounding).write(placed);
            errors.putAll(calibrator.errors());
            return new Fitted(written, reports(new HashSet<>(placed)), placed.size());
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
                            unit.nodes().stream()
                                    .map(OnnxNode::op)
                                    .collect(Collectors.joining(" ")),
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
        double error = error(unit);
        if (error > 0) {
            words.add(String.format(Locale.ROOT, "error %.1f dB", 10 * Math.log10(error)));
        }
        return words.isEmpty() ? "as asked" : String.join(", ", words);
    }
}
