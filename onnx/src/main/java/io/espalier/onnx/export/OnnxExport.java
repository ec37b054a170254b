package io.espalier.onnx.export;

import io.espalier.graph.FreeDimensions;
import io.espalier.graph.GraphModule;
import io.espalier.nn.Module;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.quant.QuantizationHook;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.List;
import java.util.function.UnaryOperator;

/**
 * Makes ONNX models of models written in Java:
 *
 * <pre>{@code
 * OnnxModel file = OnnxExport.of(model, example);
 * file.save(Path.of("model.onnx"));
 * }</pre>
 *
 * <p>A model is traced as {@link GraphModule#trace} does it; a graph module is written as it is.
 * Parameters keep their names, a pruned weight is what it computes with. A converted model is
 * written with its integers: in floats between QuantizeLinear and DequantizeLinear, which ONNX
 * Runtime fuses into its integer kernels; results are floats. Dynamically quantized layers quantize
 * their input to 8 bits, where libtorch's kernels use 7; recurrent ones store their weights in
 * integers and compute in floats.
 */
public final class OnnxExport {
    /** The oldest operators that are written: the first with a layer normalization. */
    static final long OLDEST_OPSET = 17;

    static final long NEWEST_OPSET = 23;

    private OnnxExport() {}

    /**
     * How a file differs from the plain one.
     *
     * @param opset the version of the standard's operators, 17 to 23
     * @param inputs the names of its inputs; none for those of the graph
     * @param outputs the names of its outputs; none for those of the graph
     * @param free which dimensions may have any size; null for the batch and whatever else tracing
     *     finds
     */
    public record Options(
            long opset, List<String> inputs, List<String> outputs, @Nullable FreeDimensions free) {
        /** Opset 17, names as in the graph, the batch free. */
        public static final Options DEFAULT = new Options(OLDEST_OPSET, List.of(), List.of(), null);

        /**
         * Checks.
         *
         * @throws EspalierException if the opset is not written
         */
        public Options {
            inputs = List.copyOf(inputs);
            outputs = List.copyOf(outputs);
            if (opset < OLDEST_OPSET || opset > NEWEST_OPSET) {
                throw new EspalierException(
                        "Operators of opset %d to %d are written; asked for %d."
                                .formatted(OLDEST_OPSET, NEWEST_OPSET, opset));
            }
        }

        /** The same with operators of another version. */
        public Options opset(long version) {
            return new Options(version, inputs, outputs, free);
        }

        /** The same with other names for the inputs. */
        public Options inputs(String... names) {
            return new Options(opset, List.of(names), outputs, free);
        }

        /** The same with other names for the outputs. */
        public Options outputs(String... names) {
            return new Options(opset, inputs, List.of(names), free);
        }

        /** The same with other free dimensions. */
        public Options free(FreeDimensions dimensions) {
            return new Options(opset, inputs, outputs, dimensions);
        }
    }

    /**
     * The model as a file.
     *
     * @param model in inference mode
     * @param example what it is called with, so many tensors as it takes
     * @throws EspalierException if it can't be traced, or holds something that ONNX can't say; the
     *     message names its place
     */
    public static OnnxModel of(Module model, Tensor... example) {
        return of(model, List.of(example), options -> options);
    }

    /**
     * The model as a file, with other options such as {@code o -> o.inputs("image").opset(18)}.
     *
     * @throws EspalierException as there, or if there are other names than inputs or outputs
     */
    public static OnnxModel of(Module model, List<Tensor> example, UnaryOperator<Options> with) {
        Needed.of(model, "the model");
        Needed.of(example, "the example");
        Options options = with.apply(Options.DEFAULT);
        if (model.isTraining()) {
            throw new EspalierException(
                    "A model is exported in inference mode; call eval() first.");
        }
        if (model.hasHookBeside(QuantizationHook.class)) {
            throw new EspalierException(
                    "The model has a hook, whose code no file can hold; close its registration"
                            + " first.");
        }
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            GraphModule graph = graph(model, example, options);
            return new FileWriter(graph, example, options).write();
        }
    }

    private static GraphModule graph(Module model, List<Tensor> example, Options options) {
        FreeDimensions free = options.free();
        if (model instanceof GraphModule graph) {
            if (free != null) {
                throw new EspalierException(
                        "A graph's free dimensions are those that it was traced with; leave"
                                + " free(…) out, or trace with FreeDimensions.");
            }
            return graph;
        }
        Module followed = model.isAtomic() ? new Alone(model) : model;
        return free == null
                ? GraphModule.trace(followed, example.toArray(Tensor[]::new))
                : GraphModule.trace(followed, example, free);
    }
}
