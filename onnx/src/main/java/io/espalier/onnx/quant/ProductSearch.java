package io.espalier.onnx.quant;

import io.espalier.onnx.fit.Decibels;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.quant.Pace.Work;
import io.espalier.onnx.quant.QuantizationResult.Layer;
import io.espalier.onnx.quant.conv.ConvolutionQuantization;
import io.espalier.onnx.quant.matmul.MatMulQuantization;
import io.espalier.onnx.quant.matmul.MatMulSettings;
import io.espalier.onnx.quant.matmul.OutputLayers;
import io.espalier.onnx.quant.matmul.SiteReport;
import io.espalier.tensor.EspalierException;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;

/**
 * Finds how a model's products with constant matrices are computed: with ranges found beforehand or
 * at each call, or in floats; the fastest that holds. Where too much is lost, those whose
 * activations lose most stay in floats.
 */
final class ProductSearch {
    /** The share of the products that goes back to float first; it is doubled from there. */
    private static final double FIRST_GIVEN_BACK = 0.125;

    /** All in integers, and then an eighth, a quarter and half of them given back. */
    private static final int MOST_FITS = 4;

    private final CalibrationData data;
    private final QuantizationSettings settings;
    private final OutputLayers outputs;

    ProductSearch(CalibrationData data, QuantizationSettings settings, OutputLayers outputs) {
        this.data = data;
        this.settings = settings;
        this.outputs = outputs;
    }

    /**
     * A model, and what became of its products.
     *
     * @param model in which output layers are still as they were
     * @param finish what makes the whole of it: output layers fitted to what they are given
     */
    record Found(OnnxModel model, List<Layer> layers, UnaryOperator<OnnxModel> finish) {}

    /** The best way for a model. */
    Found best(OnnxModel model, Judgement judgement, Journal journal) {
        List<SiteReport> sites = List.of();
        for (boolean fixed : new boolean[] {true, false}) {
            settings.progress().expect(Work.PRODUCTS, fixed ? 2 * MOST_FITS : MOST_FITS);
            var attempts = new Attempts(model, fixed, judgement, journal);
            List<String> worst = attempts.worstFirst();
            sites = attempts.sites(sites);
            if (worst.isEmpty()) {
                return inFloats(model, sites);
            }
            Set<String> givenBack = Set.of();
            boolean holds = attempts.holds(givenBack);
            for (double share = FIRST_GIVEN_BACK; !holds && share < 1; share *= 2) {
                givenBack = first(worst, share);
                holds = attempts.holds(givenBack);
            }
            if (holds && attempts.isFaster(givenBack)) {
                return found(attempts.way(givenBack));
            }
        }
        return inFloats(model, sites);
    }

    /** Names of those that lose most. */
    private static Set<String> first(List<String> worst, double share) {
        return Set.copyOf(worst.subList(0, (int) Math.max(1, Math.round(share * worst.size()))));
    }

    /** Ways of one kind, which differ in what is given back, fitted where that is not known. */
    private final class Attempts {
        private final OnnxModel model;
        private final boolean fixed;
        private final Judgement judgement;
        private final Journal journal;
        private @Nullable Way last;

        Attempts(OnnxModel model, boolean fixed, Judgement judgement, Journal journal) {
            this.model = model;
            this.fixed = fixed;
            this.judgement = judgement;
            this.journal = journal;
        }

        Way way(Set<String> givenBack) {
            Way known = last;
            if (known == null || !known.givenBack().equals(givenBack)) {
                settings.progress()
                        .begin(
                                Work.PRODUCTS,
                                fixed
                                        ? "fitting matrix products"
                                        : "trying ranges found at each call");
                known = ProductSearch.this.way(model, fixed, givenBack);
                last = known;
            }
            return known;
        }

        /** What became of the products; what was known of them where none were fitted. */
        List<SiteReport> sites(List<SiteReport> known) {
            Way way = last;
            if (way != null) {
                return way.sites();
            }
            return known.isEmpty() ? MatMulQuantization.dynamic(model, List.of()).sites() : known;
        }

        /** The names of those products in integers, those first that lose most. */
        List<String> worstFirst() {
            return journal.names(
                    key("products, those first that lose most,", Set.of()),
                    () ->
                            way(Set.of()).sites().stream()
                                    .filter(SiteReport::isQuantized)
                                    .sorted(
                                            Comparator.comparingDouble(
                                                    site -> -site.error().orElse(0)))
                                    .map(SiteReport::name)
                                    .toList());
        }

        boolean holds(Set<String> givenBack) {
            double lost =
                    journal.number(
                            key("products lose", givenBack),
                            () -> judgement.drop(way(givenBack).whole()));
            return lost <= settings.maxDrop();
        }

        boolean isFaster(Set<String> givenBack) {
            return Judgement.isFaster(
                    journal.number(
                            key("products are faster", givenBack),
                            () -> judgement.speedupOfChanges(model, way(givenBack).whole())));
        }

        private String key(String what, Set<String> givenBack) {
            return "%s %s, without %d: %s"
                    .formatted(
                            what,
                            fixed ? "fixed" : "dynamic",
                            givenBack.size(),
                            Digest.of(new TreeSet<>(givenBack)));
        }
    }

    /**
     * The way that a recipe names.
     *
     * @throws EspalierException if it wants some with ranges found at each call, and some without
     */
    Found of(OnnxModel model, Recipe recipe) {
        List<SiteReport> sites = MatMulQuantization.dynamic(model, List.of()).sites();
        Set<String> names = sites.stream().map(SiteReport::name).collect(Collectors.toSet());
        Set<String> fixed = new HashSet<>(recipe.in(Recipe.INTEGERS));
        Set<String> dynamic = new HashSet<>(recipe.in(Recipe.DYNAMIC));
        fixed.retainAll(names);
        dynamic.retainAll(names);
        if (!fixed.isEmpty() && !dynamic.isEmpty()) {
            throw new EspalierException(
                    "A recipe has all matrix products in int8 or all in int8 dynamic, besides those"
                            + " in floats; this one has both.");
        }
        if (fixed.isEmpty() && dynamic.isEmpty()) {
            return inFloats(model, sites);
        }
        names.removeAll(fixed);
        names.removeAll(dynamic);
        return found(way(model, dynamic.isEmpty(), names));
    }

    /**
     * A way to compute the products.
     *
     * @param model in which output layers are still as they were
     * @param whole with these fitted and in integers
     * @param sites what became of all of them
     */
    private record Way(
            boolean fixed,
            Set<String> givenBack,
            OnnxModel model,
            OnnxModel whole,
            List<SiteReport> sites) {}

    private Way way(OnnxModel model, boolean fixed, Set<String> givenBack) {
        Set<String> kept = new HashSet<>(givenBack);
        kept.addAll(outputs.names());
        MatMulQuantization.Result inner = products(model, fixed, kept);
        if (outputs.isEmpty()) {
            return new Way(fixed, givenBack, inner.model(), inner.model(), inner.sites());
        }
        MatMulQuantization.Result last = output(inner.model(), fixed, givenBack);
        var sites = new ArrayList<SiteReport>();
        inner.sites().stream()
                .filter(site -> !outputs.names().contains(site.name()))
                .forEach(sites::add);
        last.sites().stream()
                .filter(site -> outputs.names().contains(site.name()))
                .forEach(sites::add);
        return new Way(fixed, givenBack, inner.model(), last.model(), sites);
    }

    /** Output layers fitted to what the rest gives them, and in integers. */
    private MatMulQuantization.Result output(OnnxModel rest, boolean fixed, Set<String> givenBack) {
        Set<String> kept = new HashSet<>(givenBack);
        OnnxModel refitted = outputs.refitted(rest);
        for (OnnxNode node : refitted.graph().nodes()) {
            if ((node.is("MatMul") || node.is("Gemm")) && !outputs.names().contains(node.name())) {
                kept.add(node.name());
            }
        }
        // Their own channels are not shifted: that is little for one product, and two more runs.
        return products(refitted, fixed, how -> how(how, kept).shifted(false));
    }

    private Found found(Way way) {
        return new Found(
                way.model(),
                layers(way.sites(), way.givenBack(), way.fixed()),
                rest ->
                        outputs.isEmpty()
                                ? rest
                                : stored(output(rest, way.fixed(), way.givenBack()).model()));
    }

    private Found inFloats(OnnxModel model, List<SiteReport> sites) {
        return new Found(
                model,
                Step.inFloats(layers(sites, "MatMul")),
                rest -> outputs.isEmpty() ? rest : stored(outputs.refitted(rest)));
    }

    /** Output layers that stay float, with their weights kept in 8 bits. */
    private OnnxModel stored(OnnxModel model) {
        return ConvolutionQuantization.stored(
                model,
                node ->
                        outputs.names().contains(node.name())
                                && !settings.keepsFloat(node)
                                && settings.recipe()
                                        .map(recipe -> recipe.allows(node))
                                        .orElse(true),
                settings.reducedRange(),
                settings.format().perTensor());
    }

    private MatMulQuantization.Result products(OnnxModel model, boolean fixed, Set<String> kept) {
        return products(model, fixed, how -> how(how, kept));
    }

    private MatMulQuantization.Result products(
            OnnxModel model, boolean fixed, UnaryOperator<MatMulSettings> how) {
        return fixed
                ? MatMulQuantization.fixed(model, data.batches(), how)
                : MatMulQuantization.dynamic(model, data.batches(), how);
    }

    private MatMulSettings how(MatMulSettings start, Set<String> kept) {
        var patterns = new ArrayList<>(settings.keptFloat());
        patterns.addAll(kept);
        return start.reduceRange(settings.reducedRange())
                .portable(settings.format().portable())
                .perTensor(settings.format().perTensor())
                .keepingFloat(patterns.toArray(String[]::new));
    }

    /** All products in integers, in one of the ways. */
    Found all(OnnxModel model, boolean fixed) {
        MatMulQuantization.Result result = products(model, fixed, Set.of());
        return new Found(
                result.model(), layers(result.sites(), Set.of(), fixed), UnaryOperator.identity());
    }

    /** The same, with output layers fitted to what the rest of the finished model gives them. */
    Found allFitted(OnnxModel model) {
        return found(way(model, true, Set.of()));
    }

    private static List<Layer> layers(
            List<SiteReport> sites, Set<String> givenBack, boolean fixed) {
        return layers(sites, "MatMul").stream()
                .map(layer -> {
                    if (givenBack.contains(layer.name())) {
                        return layer.in(Recipe.FLOAT, "given back: int8 loses most here");
                    }
                    boolean dynamic = !fixed && layer.precision().equals(Recipe.INTEGERS);
                    return dynamic ? layer.in(Recipe.DYNAMIC, layer.why()) : layer;
                })
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
        return site.error().isPresent() ? ", " + Decibels.ofRoot(site.error().getAsDouble()) : "";
    }
}
