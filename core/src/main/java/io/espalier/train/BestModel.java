package io.espalier.train;

import io.espalier.nn.Module;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;

import java.util.LinkedHashMap;
import java.util.SequencedMap;

/** A copy of the state that a model had at its best evaluation; empty before the first. */
final class BestModel {
    private SequencedMap<String, Tensor> state = new LinkedHashMap<>();

    SequencedMap<String, Tensor> state() {
        return state;
    }

    void copyOf(Module model) {
        take(model.stateDict());
    }

    void take(SequencedMap<String, Tensor> values) {
        state.values().forEach(Tensor::releaseReference);
        SequencedMap<String, Tensor> copies = new LinkedHashMap<>();
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            values.forEach((name, tensor) -> copies.put(name, Tensors.keep(tensor.clone())));
        }
        state = copies;
    }

    void restore(Module model) {
        if (!state.isEmpty()) {
            model.loadStateDict(state);
        }
    }
}
