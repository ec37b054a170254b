package io.espalier.onnx.lower;

import io.espalier.graph.GraphModule;
import io.espalier.tensor.EspalierException;

import org.bytedeco.pytorch.Tensor;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SequencedMap;

/**
 * A file's model on libtorch.
 *
 * @param module takes and gives tensors in the order of these names
 * @param inputs the names of what the file's model is given, in its order
 * @param outputs the names of what it gives, in its order
 * @param weights what the module's weights were made of; empty where nobody knows any more
 */
public record LoweredModel(
        GraphModule module,
        List<String> inputs,
        List<String> outputs,
        Optional<LoweredWeights> weights) {
    /** A module that was not made of a file's model just now. */
    public LoweredModel(GraphModule module, List<String> inputs, List<String> outputs) {
        this(module, inputs, outputs, Optional.empty());
    }

    /** Copies the lists. */
    public LoweredModel {
        inputs = List.copyOf(inputs);
        outputs = List.copyOf(outputs);
    }

    /** The same names with another module, such as a quantized one. */
    public LoweredModel with(GraphModule changed) {
        return new LoweredModel(changed, inputs, outputs);
    }

    /**
     * Inputs by name in the order that the module takes them.
     *
     * @throws EspalierException if one is missing, or none of the model's
     */
    public List<Tensor> ordered(Map<String, Tensor> named) {
        if (named.size() != inputs.size() || !named.keySet().containsAll(inputs)) {
            throw new EspalierException(
                    "The model takes the inputs "
                            + inputs
                            + "; given were "
                            + named.keySet()
                            + ".");
        }
        List<Tensor> ordered = new ArrayList<>();
        inputs.forEach(name -> ordered.add(named.get(name)));
        return ordered;
    }

    /**
     * Runs the module on inputs by name.
     *
     * @return the results by name, in the file's order
     * @throws EspalierException if an input is missing, or none of the model's
     */
    public SequencedMap<String, Tensor> run(Map<String, Tensor> named) {
        List<Tensor> results = module.callAll(ordered(named));
        SequencedMap<String, Tensor> byName = new LinkedHashMap<>();
        for (int i = 0; i < results.size(); i++) {
            byName.put(outputs.get(i), results.get(i));
        }
        return byName;
    }
}
