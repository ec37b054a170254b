package io.espalier.onnx.export;

import io.espalier.graph.GraphModule;
import io.espalier.nn.BatchNorm;
import io.espalier.nn.Convolution;
import io.espalier.nn.Embedding;
import io.espalier.nn.EmbeddingBag;
import io.espalier.nn.GroupNorm;
import io.espalier.nn.Hook;
import io.espalier.nn.InstanceNorm;
import io.espalier.nn.LayerNorm;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.MultiheadAttention;
import io.espalier.nn.PReLU;
import io.espalier.nn.Recurrent;
import io.espalier.quant.QuantizationHook;
import io.espalier.quant.layer.FusedChain;
import io.espalier.quant.layer.QuantizedOperation;
import io.espalier.quant.observer.Observer;
import io.espalier.quant.qat.QatLayer;
import io.espalier.tensor.EspalierException;

import org.bytedeco.pytorch.Tensor;

import java.util.List;
import java.util.Map;

/** Which layers can be written, and by whom; a module of another kind is looked into. */
final class LayerTable {
    /** The forms of quantized layers, by the names that files have for them. */
    private static final Map<String, LayerWriter> FORMS =
            Map.ofEntries(
                    Map.entry("Quantize", IntegerLayers::quantize),
                    Map.entry("DeQuantize", call -> call.names()),
                    Map.entry("QuantizedDropout", call -> call.names()),
                    Map.entry(
                            "QuantizedReLU6",
                            call -> List.of(Activations.clip(call.draft(), call.x(), 0, 6))),
                    Map.entry("QuantizedLinear", IntegerLayers::linear),
                    Map.entry("IntegerLinear", IntegerLayers::linear),
                    Map.entry("QuantizedConvolution", IntegerLayers::convolution),
                    Map.entry("IntegerConvolution", IntegerLayers::convolution),
                    Map.entry("DynamicLinear", DynamicLayers::linear),
                    Map.entry("DynamicRecurrent", RecurrentLayers::small),
                    Map.entry("QuantizedRecurrent", RecurrentLayers::quantized),
                    Map.entry("QuantizedEmbedding", Tables::embedding),
                    Map.entry("QuantizedEmbeddingBag", Tables::bag));

    private LayerTable() {}

    /** Writes calls of one kind of layer; gives the values of the results. */
    @FunctionalInterface
    interface LayerWriter {
        List<String> write(LayerCall call);
    }

    /** Whether a module is written as what it does inside. */
    static boolean looksInto(Module module) {
        return module instanceof QuantizedOperation || !hasWriter(module);
    }

    private static boolean hasWriter(Module module) {
        if (module instanceof FusedChain) {
            return true;
        }
        return module.isAtomic() && (isKnownLayer(module) || FORMS.containsKey(form(module)));
    }

    private static boolean isKnownLayer(Module module) {
        return module instanceof Linear
                || module instanceof Convolution
                || module instanceof BatchNorm
                || module instanceof LayerNorm
                || module instanceof GroupNorm
                || module instanceof InstanceNorm
                || module instanceof PReLU
                || module instanceof Embedding
                || module instanceof EmbeddingBag
                || module instanceof Recurrent
                || module instanceof MultiheadAttention;
    }

    private static String form(Module module) {
        return module instanceof io.espalier.quant.layer.SavedForm
                ? module.getClass().getSimpleName()
                : "";
    }

    /**
     * Writes a call of a module.
     *
     * @throws EspalierException if it can't be written
     */
    static List<String> write(LayerCall call) {
        Module module = call.module();
        requirePlain(call);
        if (!looksInto(module)) {
            return FORMS.getOrDefault(form(module), FloatLayers::write).write(call);
        }
        return module instanceof QuantizedOperation operation
                ? inside(call, new InFloats(operation), rounding(call, operation))
                : inside(call, module, call.names());
    }

    private static void requirePlain(LayerCall call) {
        Module module = call.module();
        if (module instanceof Observer || module instanceof QatLayer || hasObserver(module)) {
            throw new EspalierException(
                    "'"
                            + call.path()
                            + "' is prepared for quantization; convert the model first, or export"
                            + " it before it is prepared.");
        }
        if (module.hasHookBeside(QuantizationHook.class)) {
            throw new EspalierException(
                    "'"
                            + call.path()
                            + "' has a hook, whose code no file can hold; close its registration"
                            + " first.");
        }
    }

    private static boolean hasObserver(Module module) {
        return module.namedChildren().values().stream().anyMatch(Observer.class::isInstance);
    }

    /** A kernel of integers quantizes floats that it is handed by what it saw. */
    private static List<String> rounding(LayerCall call, QuantizedOperation operation) {
        return call.names().stream()
                .map(x -> IntegerLayers.rounded(call.draft(), operation, x))
                .toList();
    }

    /** What a module computes, as its own steps. */
    private static List<String> inside(LayerCall call, Module module, List<String> inputs) {
        Module plain = module;
        if (module.hasHooks()) {
            plain = module.alias();
            plain.removeHooks(Hook.class);
        }
        GraphModule traced =
                plain instanceof GraphModule graph
                        ? graph
                        : GraphModule.trace(plain, call.operands().toArray(Tensor[]::new));
        var run = ExampleRun.of(traced, call.operands());
        return new GraphWriter(call.draft(), call.prefix(), traced, run).write(inputs);
    }

    /** A quantized operation without its rounding. */
    private static final class InFloats extends Module {
        private final QuantizedOperation operation;

        InFloats(QuantizedOperation operation) {
            this.operation = operation;
            adopt(operation);
            training(false);
        }

        @Override
        protected Tensor forward(Tensor x) {
            return operation.inFloats(x);
        }
    }
}
