package io.espalier.quant;

import io.espalier.nn.Module;
import io.espalier.nn.ModuleList;
import io.espalier.quant.layer.QFunctional;
import io.espalier.quant.layer.QuantizedLayer;
import io.espalier.tensor.EspalierException;

import org.bytedeco.pytorch.Tensor;

import java.util.Collection;
import java.util.List;

/**
 * Lets what a module does between its layers run in floats: its layers give floats, and quantize
 * what they are handed, as they observed it or, where integers came in then, by the values
 * themselves. A module is marked by this hook, which also makes floats of its inputs.
 */
enum FloatInside implements QuantizationHook {
    MARK;

    @Override
    public List<Tensor> apply(Module module, List<Tensor> tensors) {
        return DequantizeHook.INSTANCE.apply(module, tensors);
    }

    /**
     * Checks that modules can be marked.
     *
     * @throws EspalierException if there is no such module, or it has no layers
     */
    static void require(Module model, Collection<String> paths) {
        for (String path : paths) {
            if (model.module(path).namedChildren().isEmpty()) {
                throw new EspalierException(
                        "'"
                                + path
                                + "' has no layers, between which something could run in floats;"
                                + " name the module that holds it.");
            }
        }
    }

    /** Marks the modules of a converted model. */
    static void mark(Module model, Collection<String> paths) {
        for (String path : paths) {
            Module module = model.module(path);
            module.onInput(MARK);
            giveFloats(module);
            module.namedModules().values().stream()
                    .filter(QuantizedLayer.class::isInstance)
                    .map(QuantizedLayer.class::cast)
                    .forEach(QuantizedLayer::takeAnyFloats);
        }
    }

    private static void giveFloats(Module module) {
        for (Module child : module.namedChildren().values()) {
            if (child instanceof QFunctional functional) {
                functional.giveFloats();
            } else if (child instanceof ModuleList) {
                giveFloats(child);
            } else {
                child.onOutput(DequantizeHook.INSTANCE);
            }
        }
    }

    /** The paths of the marked modules. */
    static List<String> in(Module model) {
        return model.namedModules().entrySet().stream()
                .filter(entry -> entry.getValue().hasHook(FloatInside.class))
                .map(java.util.Map.Entry::getKey)
                .toList();
    }
}
