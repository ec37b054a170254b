package io.espalier.onnx.quant;

import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.quant.Pace.Work;
import io.espalier.onnx.quant.QuantizationResult.Layer;
import io.espalier.onnx.quant.conv.ConvolutionQuantization;
import io.espalier.onnx.quant.conv.PortableForm;
import io.espalier.onnx.quant.half.HalfStorage;
import io.espalier.onnx.quant.half.OpenedHalves;
import io.espalier.onnx.quant.matmul.BlockQuantization;
import io.espalier.onnx.quant.matmul.MatMulQuantization;
import io.espalier.onnx.quant.matmul.OutputLayers;
import io.espalier.onnx.quant.matmul.SiteReport;
import io.espalier.onnx.repair.Repair;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.function.Predicate;
import java.util.stream.Collectors;

/** One model being quantized: repaired, fitted, judged, and where it lost too much, given back. */
final class QuantizationRun {
    private final OnnxModel given;

    /** The same, with a value inside among its results if these say nothing. */
    private final OnnxModel original;

    private final OnnxModel repaired;
    private final CalibrationData data;
    private final QuantizationSettings settings;
    private final Judgement judgement;
    private final Journal journal;
    private final EmbeddingTables tables;

    /** Whether the search fitted weights without being asked to. */
    private boolean movedWeights;

    QuantizationRun(
            OnnxModel original,
            CalibrationData data,
            QuantizationSettings settings,
            Journal journal) {
        this.journal = journal;
        this.given = original;
        this.data = data;
        settings.progress().begin(Work.PREPARATION, "repairing the graph");
        OnnxModel prepared = prepared(given, settings);
        this.settings = KeptFloat.resolved(settings, given, prepared);
        this.tables = new EmbeddingTables(this.settings);
        settings.recipe().ifPresent(recipe -> requireKnown(recipe, prepared));
        begin(Work.PREPARATION, "running the float model");
        var reference = ReferenceOutputs.witnessed(given, data.batches(), settings.threads());
        this.original = reference.model();
        if (this.original != given) {
            settings.progress().say(judgedInside());
        }
        this.repaired = this.original == given ? prepared : prepared(this.original, settings);
        this.judgement = new Judgement(reference, data, this.settings);
    }

    private String judgedInside() {
        return "the model's results are one number whatever it is given; judged by '%s' inside"
                .formatted(original.graph().outputs().getLast().getName());
    }

    private static OnnxModel prepared(OnnxModel model, QuantizationSettings settings) {
        return settings.format().portable() ? Preparation.portable(model) : Preparation.of(model);
    }

    private void requireKnown(Recipe recipe, OnnxModel repaired) {
        if (settings.mode() != QuantizationMode.FLOAT16) { // which names nodes inside others, too
            List<OnnxNode> nodes = repaired.graph().nodes();
            recipe.requireKnown(nodes.stream().map(OnnxNode::name).collect(Collectors.toSet()));
        }
    }

    QuantizationResult run() {
        var start = new Step(repaired, List.of());
        Step step =
                settings.recipe()
                        .map(recipe -> followed(start, recipe))
                        .orElseGet(() -> quantized(start));
        begin(Work.MEASURING, "measuring");
        return result(step);
    }

    private Step quantized(Step repaired) {
        return switch (settings.mode()) {
            case AUTO -> auto(repaired);
            case STATIC ->
                    compact(
                            settings.fitsWeights()
                                    ? allFitted(repaired)
                                    : allConvolutions(
                                            tables.after(products(repaired, true)),
                                            this::mayBeIntegers));
            case DYNAMIC -> compact(stored(tables.after(products(repaired, false))));
            case WEIGHT_ONLY -> compact(stored(blocks(tables.after(repaired))));
            case FLOAT16 -> compact(halves(tables.after(repaired)));
        };
    }

    /** What a recipe says, all of it. */
    private Step followed(Step repaired, Recipe recipe) {
        begin(Work.PRODUCTS, "following the recipe");
        OnnxGraph graph = repaired.model().graph();
        Step step =
                switch (settings.mode()) {
                    case AUTO, STATIC, DYNAMIC -> byRecipe(repaired, recipe);
                    case WEIGHT_ONLY, FLOAT16 -> quantized(repaired);
                };
        recipe.requireFollowed(Recipe.of(settings, step.layers()), !settings.keptFloat().isEmpty());
        return withFloats(step, recipe, graph);
    }

    /** The same with those layers among the others that the recipe leaves in floats. */
    private static Step withFloats(Step step, Recipe recipe, OnnxGraph graph) {
        Set<String> left = recipe.in(Recipe.FLOAT);
        step.layers().forEach(layer -> left.remove(layer.name()));
        List<Layer> layers =
                graph.nodes().stream()
                        .filter(node -> left.contains(node.name()))
                        .map(node -> new Layer(node.name(), node.op(), Recipe.FLOAT, "as asked"))
                        .toList();
        return step.then(step.model(), layers);
    }

    private QuantizationResult result(Step step) {
        OnnxModel model = step.model();
        OnnxModel hidden = model == original ? given : Witness.hidden(model, given.graph());
        List<Layer> layers = OtherFloats.among(step.layers(), repaired.graph(), settings);
        return new QuantizationResult(
                hidden,
                judgement.distance(model),
                judgement.score(model),
                judgement.time(model),
                given.byteSize(),
                hidden.byteSize(),
                layers,
                Recipe.of(settings.with(s -> s.fitsWeights |= movedWeights), layers));
    }

    /** The same as it is written: each constant once, and short names for what is new. */
    private Step compact(Step step) {
        List<Layer> layers = StoredLayers.among(step.layers(), step.model().graph());
        OnnxModel written =
                settings.format().portable() ? PortableForm.of(step.model()) : step.model();
        OnnxModel shared = Repair.run(written, List.of(Repair.pass("shared-constants"))).model();
        OnnxModel halved = OpenedHalves.isIn(original) ? OpenedHalves.close(shared) : shared;
        OnnxModel compact = ShortNames.in(halved, original.graph());
        if (!settings.format().portable()) {
            judgement.isSame(step.model(), compact);
        }
        return new Step(compact, layers);
    }

    private void begin(Work work, String words) {
        settings.progress().begin(work, words);
    }

    /** What pays and stays within the budget: products, tables, then convolutions. */
    private Step auto(Step repaired) {
        boolean convolves = repaired.model().graph().nodes().stream().anyMatch(n -> n.is("Conv"));
        settings.progress().expect(Work.CONVOLUTIONS, convolves ? ConvolutionSearch.MOST_FITS : 0);
        try (var outputs = OutputLayers.of(repaired.model(), data.batches())) {
            var products = new ProductSearch(data, settings, outputs);
            ProductSearch.Found found = products.best(repaired.model(), judgement, journal);
            settings.progress().expect(Work.PRODUCTS, 0);
            Step best = repaired.then(found.model(), found.layers());
            Step stored = tables.after(best);
            boolean hasTables = stored.layers().size() > best.layers().size();
            best = !hasTables || tablesHold(stored) ? stored : best.without(stored);
            ConvolutionQuantization convolutions = convolutions(best.model(), isInner(outputs));
            var search = new ConvolutionSearch(convolutions, data, settings, judgement, journal);
            ConvolutionSearch.Found fastest =
                    search.best(best.model(), repaired.model(), found.finish());
            movedWeights = convolutions.fitsWeights();
            return noWorse(compact(best.then(fastest.model(), fastest.layers())), repaired);
        }
    }

    private boolean tablesHold(Step stored) {
        return journal.number("tables lose", () -> judgement.drop(stored.model()))
                <= settings.maxDrop();
    }

    /** What a recipe says, in the order in which it was found. */
    private Step byRecipe(Step repaired, Recipe recipe) {
        boolean refitted = settings.mode() == QuantizationMode.AUTO || settings.fitsWeights();
        try (var outputs =
                refitted
                        ? OutputLayers.of(repaired.model(), data.batches())
                        : OutputLayers.none()) {
            ProductSearch.Found found =
                    new ProductSearch(data, settings, outputs).of(repaired.model(), recipe);
            Step inner = tables.after(repaired.then(found.model(), found.layers()));
            ConvolutionQuantization convolutions = convolutions(inner.model(), isInner(outputs));
            var search = new ConvolutionSearch(convolutions, data, settings, judgement, journal);
            ConvolutionSearch.Found last = search.of(inner.model(), found.finish(), recipe);
            return compact(inner.then(last.model(), last.layers()));
        }
    }

    /** What was found, if nothing about it is worse than what came in. */
    private Step noWorse(Step found, Step repaired) {
        double speedup =
                journal.number(
                        "times as fast in the end", () -> judgement.time(found.model()).speedup());
        if (judgement.isNoWorse(found.model(), speedup)) {
            return found;
        }
        OnnxModel model = judgement.isNoWorse(repaired.model()) ? repaired.model() : original;
        return new Step(model, Step.inFloats(found.layers()));
    }

    private Step products(Step step, boolean fixed) {
        ProductSearch.Found found =
                new ProductSearch(data, settings, OutputLayers.none()).all(step.model(), fixed);
        return step.then(found.model(), found.layers());
    }

    /** All in integers, and output layers fitted to what these give at last. */
    private Step allFitted(Step repaired) {
        try (var outputs = OutputLayers.of(repaired.model(), data.batches())) {
            ProductSearch.Found found =
                    new ProductSearch(data, settings, outputs).allFitted(repaired.model());
            Step inner = tables.after(repaired.then(found.model(), found.layers()));
            Step all = allConvolutions(inner, isInner(outputs));
            return new Step(found.finish().apply(all.model()), all.layers());
        }
    }

    /** Matrices in 4 bits, if that is asked for. */
    private Step blocks(Step step) {
        if (settings.format().bits() == 8) {
            return step;
        }
        begin(Work.PRODUCTS, "fitting 4-bit weights");
        MatMulQuantization.Result result =
                BlockQuantization.of(
                        step.model(),
                        data.batches(),
                        settings.format().blocks(keptFromBlocks(step.model())));
        return step.then(result.model(), ProductSearch.layers(result.sites(), "MatMul"));
    }

    /** Products that don't become blocks. */
    private List<String> keptFromBlocks(OnnxModel model) {
        var kept = new ArrayList<>(settings.keptFloat());
        settings.recipe()
                .ifPresent(recipe ->
                        MatMulQuantization.dynamic(model, List.of()).sites().stream()
                                .map(SiteReport::name)
                                .filter(name -> !recipe.in(Recipe.FOUR_BITS).contains(name))
                                .forEach(kept::add));
        return kept;
    }

    private Step allConvolutions(Step step, Predicate<OnnxNode> mayBeIntegers) {
        begin(Work.CONVOLUTIONS, "fitting layers");
        ConvolutionQuantization.Fitted fitted =
                convolutions(step.model(), mayBeIntegers).fitAll(data.batches());
        return step.then(fitted.model(), ConvolutionSearch.layers(fitted));
    }

    private Step stored(Step step) {
        begin(Work.ROUNDING, "rounding weights");
        ConvolutionQuantization.Fitted fitted =
                convolutions(step.model(), this::mayBeIntegers).store(data.batches());
        return step.then(fitted.model(), ConvolutionSearch.layers(fitted));
    }

    private Step halves(Step step) {
        begin(Work.ROUNDING, "rounding weights");
        HalfStorage.Result halved = HalfStorage.of(step.model(), this::mayBeIntegers);
        return step.then(
                halved.model(),
                halved.weights().stream()
                        .map(weight ->
                                new Layer(
                                        weight.name(),
                                        weight.operators(),
                                        weight.halved() ? "float16 stored" : "float",
                                        weight.why()))
                        .toList());
    }

    private ConvolutionQuantization convolutions(
            OnnxModel model, Predicate<OnnxNode> mayBeIntegers) {
        ConvolutionQuantization convolutions =
                ConvolutionQuantization.of(model, mayBeIntegers, settings.reducedRange());
        convolutions = settings.format().perTensor() ? convolutions.perTensor() : convolutions;
        convolutions = settings.fitsWeights() ? convolutions.fittingWeights() : convolutions;
        return convolutions.telling(settings.progress()::at);
    }

    /** Whether a node may be in integers before output layers are. */
    private Predicate<OnnxNode> isInner(OutputLayers outputs) {
        return node -> mayBeIntegers(node) && !outputs.names().contains(node.name());
    }

    private boolean mayBeIntegers(OnnxNode node) {
        return !settings.keepsFloat(node)
                && settings.recipe().map(recipe -> recipe.allows(node)).orElse(true);
    }
}
