package io.espalier.onnx.quant;

import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.quant.QuantizationResult.Layer;
import io.espalier.onnx.quant.matmul.MatMulQuantization;
import io.espalier.onnx.quant.matmul.MatMulSettings;
import io.espalier.onnx.quant.matmul.SiteReport;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * Finds how a model's products with constant matrices are computed: with ranges found beforehand or
 * at each call, or in floats; the fastest that holds. Where too much is lost, those whose
 * activations lose most stay in floats.
 */
final class ProductSearch {
    /** The share of the products that goes back to float first; it is doubled from there. */
    private static final double FIRST_GIVEN_BACK = 0.125;

    private final CalibrationData data;
    private final QuantizationSettings settings;

    ProductSearch(CalibrationData data, QuantizationSettings settings) {
        this.data = data;
        this.settings = settings;
    }

    /** A model, and what became of its products. */
    record Found(OnnxModel model, List<Layer> layers) {}

    /** The best way for a model. */
    Found best(OnnxModel model, Judgement judgement) {
        List<SiteReport> sites = List.of();
        for (boolean fixed : new boolean[] {true, false}) {
            settings.progress()
                    .accept(fixed ? "fitting matrix products" : "trying ranges found at each call");
            MatMulQuantization.Result all = products(model, fixed, Set.of());
            sites = all.sites();
            if (sites.stream().noneMatch(SiteReport::isQuantized)) {
                return new Found(model, layers(sites, "MatMul"));
            }
            Set<String> givenBack = Set.of();
            MatMulQuantization.Result candidate = all;
            boolean holds = judgement.isWithinBudget(candidate.model());
            for (double share = FIRST_GIVEN_BACK; !holds && share < 1; share *= 2) {
                givenBack = worst(sites, share);
                candidate = products(model, fixed, givenBack);
                holds = judgement.isWithinBudget(candidate.model());
            }
            if (holds && judgement.isFaster(model, candidate.model())) {
                return new Found(candidate.model(), layers(candidate.sites(), givenBack));
            }
        }
        return new Found(model, inFloats(layers(sites, "MatMul")));
    }

    /** The names of those products in integers that lose most. */
    private static Set<String> worst(List<SiteReport> sites, double share) {
        List<SiteReport> integers =
                sites.stream()
                        .filter(SiteReport::isQuantized)
                        .sorted(Comparator.comparingDouble(site -> -site.error().orElse(0)))
                        .toList();
        return integers.stream()
                .limit(Math.max(1, Math.round(share * integers.size())))
                .map(SiteReport::name)
                .collect(Collectors.toSet());
    }

    private MatMulQuantization.Result products(OnnxModel model, boolean fixed, Set<String> kept) {
        var patterns = new ArrayList<>(settings.keptFloat());
        patterns.addAll(kept);
        return fixed
                ? MatMulQuantization.fixed(model, data.batches(), how -> how(how, patterns))
                : MatMulQuantization.dynamic(model, data.batches(), how -> how(how, patterns));
    }

    private MatMulSettings how(MatMulSettings start, List<String> patterns) {
        return start.reduceRange(settings.reducedRange())
                .keepingFloat(patterns.toArray(String[]::new));
    }

    /** All products in integers, in one of the ways. */
    Found all(OnnxModel model, boolean fixed) {
        MatMulQuantization.Result result = products(model, fixed, Set.of());
        return new Found(result.model(), layers(result.sites(), "MatMul"));
    }

    private static List<Layer> layers(List<SiteReport> sites, Set<String> givenBack) {
        return layers(sites, "MatMul").stream()
                .map(layer ->
                        givenBack.contains(layer.name())
                                ? new Layer(
                                        layer.name(),
                                        layer.operators(),
                                        "float",
                                        "given back: int8 loses most here")
                                : layer)
                .toList();
    }

    private static List<Layer> inFloats(List<Layer> layers) {
        return layers.stream()
                .map(layer ->
                        layer.precision().equals("float")
                                ? layer
                                : new Layer(
                                        layer.name(),
                                        layer.operators(),
                                        "float",
                                        "int8 saves no time here, or loses too much"))
                .toList();
    }

    static List<Layer> layers(List<SiteReport> sites, String operator) {
        return sites.stream()
                .map(site ->
                        new Layer(
                                site.name(),
                                operator,
                                site.isQuantized() ? "int" + site.bits() : "float",
                                site.why() + error(site)))
                .toList();
    }

    private static String error(SiteReport site) {
        return site.error().isPresent()
                ? String.format(
                        Locale.ROOT, ", error %.1f dB", 10 * Math.log10(site.error().getAsDouble()))
                : "";
    }
}
