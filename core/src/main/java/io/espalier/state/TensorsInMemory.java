package io.espalier.state;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;

import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.SequencedMap;

/**
 * A state in memory.
 *
 * @param tensors by name
 */
record TensorsInMemory(Map<String, Tensor> tensors) implements TensorSource {
    @Override
    public SequencedMap<String, Kind> kinds() {
        SequencedMap<String, Kind> kinds = new LinkedHashMap<>();
        tensors.forEach((name, tensor) -> {
            Tensors.requirePlain(name, tensor);
            kinds.put(name, Kind.of(tensor));
        });
        return kinds;
    }

    @Override
    public void verify(Collection<String> names) {
        // What is in memory is what it is.
    }

    @Override
    public Tensor tensor(String name) {
        Tensor found = tensors.get(name);
        if (found == null) {
            throw new EspalierException("The state has no '" + name + "'.");
        }
        return found;
    }

    @Override
    public void copyTo(String name, Tensor target) {
        target.copy_(tensor(name));
    }
}
