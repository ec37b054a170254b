package io.espalier.prune;

import io.espalier.nn.Mask;
import io.espalier.nn.Module;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;

import java.util.LinkedHashMap;
import java.util.SequencedMap;

/** A copy of a model's whole state, masks included, to go back to. */
record ModelState(SequencedMap<String, Tensor> tensors) {
    static ModelState of(Module model) {
        SequencedMap<String, Tensor> copies = new LinkedHashMap<>();
        try (var scope = new PointerScope();
                var guard = new NoGradGuard()) {
            model.stateDict()
                    .forEach((name, tensor) ->
                            copies.put(name, Tensors.keep(tensor.detach().clone())));
        }
        return new ModelState(copies);
    }

    /**
     * Makes the model what it was: a parameter that was not pruned then loses its mask, and its
     * tensors stay the same objects, so that optimizers go on.
     */
    void restore(Module model) {
        model.namedModules()
                .forEach((path, module) -> {
                    String prefix = path.isEmpty() ? "" : path + ".";
                    for (String name : module.parametrizedNames()) {
                        String mask = prefix + new Mask(name).bufferName();
                        if (Site.isMasked(module, name) && !tensors.containsKey(mask)) {
                            Prune.remove(module, name);
                        }
                    }
                });
        model.loadStateDict(tensors);
    }
}
