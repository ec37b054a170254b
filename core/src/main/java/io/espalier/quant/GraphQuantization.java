package io.espalier.quant;

import io.espalier.graph.GraphModule;
import io.espalier.nn.Module;
import io.espalier.quant.layer.IntegerKernels;
import io.espalier.tensor.EspalierException;

import org.bytedeco.pytorch.Tensor;

import java.util.List;

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
        return GraphPreparation.prepare(traced);
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
        return GraphConversion.convert(prepared);
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
        return GraphFusion.fuse(
                GraphModule.trace(model, example), IntegerKernels.of(converted.modules().values()));
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
