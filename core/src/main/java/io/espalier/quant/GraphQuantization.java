package io.espalier.quant;

import io.espalier.graph.GraphModule;
import io.espalier.nn.IntegerWeighted;
import io.espalier.nn.Module;
import io.espalier.quant.graph.GraphPasses;
import io.espalier.quant.graph.LayerSettings;
import io.espalier.quant.layer.FusedChain;
import io.espalier.quant.layer.Packing;
import io.espalier.quant.layer.QuantizedLayer;
import io.espalier.quant.observer.Observer;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;

import org.bytedeco.pytorch.Tensor;

import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;

/**
 * The steps of {@link Quantization#quantize}, one by one:
 *
 * <pre>{@code
 * GraphModule traced = GraphModule.trace(model, example);
 * GraphModule prepared = GraphQuantization.prepare(traced);
 * for (Tensor batch : calibration) prepared.call(batch);
 * GraphModule converted = GraphQuantization.convert(prepared);
 * IO.println(converted.graph());
 * }</pre>
 *
 * <p>Each gives a new module and leaves the one it is given as it was.
 */
public final class GraphQuantization {
    private GraphQuantization() {}

    /**
     * Fuses convolutions and linear layers with the batch normalization, sum and activation after
     * them, and puts observers where integers will be: before and between these layers, through
     * reshaping and maximum pooling. Configurations are those of the traced model, {@link
     * Module#qconfig}, inherited from above; {@code null} leaves a part in float, and so does what
     * has no integer kernel. A layer that is called several times is one for each call, {@code
     * head} and {@code head#2}, with ranges of its own.
     *
     * @throws EspalierException if no layer has a qconfig, or they name different engines
     */
    public static GraphModule prepare(GraphModule traced) {
        List<Site> sites = Site.of(traced);
        Conversion.requireUnconverted(traced, sites);
        if (traced.modules().values().stream().anyMatch(FusedChain.class::isInstance)) {
            throw new EspalierException(
                    "The graph is prepared already; run calibration data through it, then"
                            + " GraphQuantization.convert.");
        }
        Map<String, LayerSettings> settings = settings(traced, sites);
        if (traced.isTraining()) {
            throw new EspalierException(
                    "A graph is prepared in inference mode; call eval() first.");
        }
        return GraphPasses.prepare(traced, settings);
    }

    /**
     * The configuration of each layer with weights that the graph itself calls: its own, or that of
     * a place above it. Layers inside a module that was not looked into stay as they are.
     */
    private static Map<String, LayerSettings> settings(GraphModule traced, List<Site> sites) {
        Map<String, LayerSettings> found = new LinkedHashMap<>();
        Map<String, Module> called = traced.modules();
        for (Site site : sites) {
            if (site.hasWeight() && called.containsKey(site.path())) {
                QConfig qconfig = site.qconfig();
                if (qconfig.isFloat16()) {
                    throw new EspalierException(
                            "A graph is quantized to 8 bit; for float16 use prepare and convert on"
                                    + " the model itself.");
                }
                found.put(
                        site.path(),
                        new LayerSettings(
                                qconfig.activation(),
                                new Packing(site.weightFactory(), qconfig.engine())));
            }
        }
        if (found.isEmpty()) {
            throw new EspalierException(
                    "Nothing to quantize: no layer with a weight in the graph has a qconfig; call"
                            + " model.qconfig(QConfig.forBackend(\"x86\")) first."
                            + Subclasses.leftAlone(traced));
        }
        return found;
    }

    /**
     * Replaces the observed parts by integer kernels. For x86 and onednn, layers that add or
     * compute an activation other than ReLU, or give floats, take oneDNN's fused ones; all others,
     * the other engines, and weights with zero points take those of the engine.
     *
     * @throws EspalierException if the graph is not prepared, an observer has seen no data, or a
     *     configuration has no int8 kernel
     */
    public static GraphModule convert(GraphModule prepared) {
        return hasOnlySmallWeights(prepared) ? prepared : lower(convertToReference(prepared));
    }

    /**
     * Writes the observed ranges into the graph: nodes that quantize, each with its scale, zero
     * point and type, and nodes that make floats again, between which layers compute in floats with
     * rounded weights. It needs no engine, runs slowly, and gives what {@link #convert}'s kernels
     * give within rounding: to be read, to be written for other runtimes, and to be lowered. As
     * PyTorch's {@code convert_to_reference_fx}.
     *
     * @throws EspalierException if the graph is not prepared, or an observer has seen no data
     */
    public static GraphModule convertToReference(GraphModule prepared) {
        if (hasOnlySmallWeights(prepared)) {
            return prepared;
        }
        if (prepared.modules().values().stream().noneMatch(Observer.class::isInstance)) {
            Conversion.requireUnconverted(prepared, List.of());
            throw new EspalierException(
                    "The graph is not prepared, so no range is known; call"
                            + " GraphQuantization.prepare and run calibration data through it"
                            + " before convert.");
        }
        return GraphPasses.reference(prepared);
    }

    /**
     * Takes layers back to floats that lose too much in integers, and all that was quantized for
     * them alone.
     *
     * @param reference what {@link #convertToReference} gave; it stays as it is
     * @param isFloat whether a layer is to be in floats, by its path
     */
    public static GraphModule inFloat(GraphModule reference, Predicate<String> isFloat) {
        return GraphPasses.inFloat(
                Needed.of(reference, "the graph module"), Needed.of(isFloat, "the choice"));
    }

    /**
     * Puts the integer kernels of the layers' engine into a graph with explicit ranges: the second
     * half of {@link #convert}.
     *
     * @param reference what {@link #convertToReference} gave
     * @throws EspalierException if it has no layer to lower, or one has no int8 kernel
     */
    public static GraphModule lower(GraphModule reference) {
        return GraphPasses.lower(Needed.of(reference, "the graph module"));
    }

    /** Whether a graph has layers of 8-bit weights, and none that needs ranges. */
    private static boolean hasOnlySmallWeights(GraphModule model) {
        Collection<Module> modules = Needed.of(model, "the graph module").modules().values();
        return modules.stream().anyMatch(IntegerWeighted.class::isInstance)
                && modules.stream()
                        .noneMatch(module ->
                                module instanceof Observer
                                        || module instanceof QuantizedLayer
                                        || module instanceof FusedChain);
    }

    /**
     * The float model in the parts of its quantized graph: what one integer kernel computes there
     * is one module here, at the same path, so that their results can be held against each other.
     *
     * @param model the float model, in inference mode; it is left as it is and shares its weights
     * @param example an input of it
     * @param converted the graph that {@link #convert} made of it
     */
    public static GraphModule fusedAs(Module model, Tensor example, GraphModule converted) {
        return GraphPasses.fusedAs(
                GraphModule.trace(model, example), Needed.of(converted, "the converted graph"));
    }

    static GraphModule quantize(
            Module model, List<Tensor> example, Iterable<List<Tensor>> calibration) {
        GraphModule traced = GraphModule.trace(model, example.toArray(Tensor[]::new));
        if (model.namedModules().values().stream().noneMatch(Module::hasQconfig)) {
            traced.qconfig(QConfig.forBackend("x86"));
        }
        GraphModule prepared = prepare(traced);
        if (!Calibration.runAll(prepared, calibration)) {
            throw new EspalierException(
                    "Quantization needs calibration data; the batches given are none.");
        }
        return convert(prepared);
    }
}
