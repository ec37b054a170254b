package io.espalier.onnx.export;

import io.espalier.nn.Module;
import io.espalier.quant.layer.SavedLayers;

import org.bytedeco.pytorch.Tensor;

import java.util.List;
import java.util.Map;

/**
 * A call of a module that is being written.
 *
 * @param path where the module stands in the model; empty for the model itself
 * @param names the values that it is called with
 * @param inputs what these were in the example's run
 * @param results what it gave there
 * @param operands what it was called with there, in floats, if it is looked into
 */
record LayerCall(
        Draft draft,
        String path,
        Module module,
        List<String> names,
        List<Seen> inputs,
        List<Seen> results,
        List<Tensor> operands) {
    /** The first input. */
    String x() {
        return names.getFirst();
    }

    /** What the first input was. */
    Seen seen() {
        return inputs.getFirst();
    }

    /** The module's tensors. */
    ModuleState state() {
        return new ModuleState(draft, prefix(), module);
    }

    /** What the names of the module's tensors begin with. */
    String prefix() {
        return path.isEmpty() ? "" : path + ".";
    }

    /** What a file would say of a quantized module besides its tensors. */
    Map<String, String> attributes() {
        return SavedLayers.describe(module);
    }
}
