package io.espalier.prune;

import io.espalier.nn.Module;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.SequencedMap;

/**
 * A copy of a model's whole state, masks included, to go back to.
 *
 * @param tensors the values, by name
 * @param held each module's own tensors and what they pass through, in the module's order
 */
record ModelState(SequencedMap<String, Tensor> tensors, Map<Module, Module> held) {
    private static final class Holder extends Module {}

    static ModelState of(Module model) {
        SequencedMap<String, Tensor> copies = new LinkedHashMap<>();
        try (var scope = new PointerScope();
                var guard = new NoGradGuard()) {
            model.stateDict()
                    .forEach((name, tensor) ->
                            copies.put(name, Tensors.keep(tensor.detach().clone())));
        }
        Map<Module, Module> held = new LinkedHashMap<>();
        for (Module module : model.namedModules().values()) {
            var holder = new Holder();
            holder.adopt(module);
            held.put(module, holder);
        }
        return new ModelState(copies, held);
    }

    /**
     * Makes the model what it was: a parameter that was not pruned then loses its mask, the order
     * is the same, and its tensors stay the same objects, so that optimizers go on.
     */
    void restore(Module model) {
        held.forEach(Module::adopt);
        model.loadStateDict(tensors);
    }
}
