package io.espalier.quant.fusion;

import io.espalier.nn.Hook;
import io.espalier.nn.Module;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Set;

/**
 * Which module without children hands its result to which, as one call of a model shows: a module
 * follows another when it is handed the very tensor that the other gave. What else a result is used
 * for, in a module's own code, calls don't show.
 */
public final class CallTrace {
    private final IdentityHashMap<Module, List<String>> places = new IdentityHashMap<>();
    private final IdentityHashMap<Module, Integer> calls = new IdentityHashMap<>();
    private final IdentityHashMap<Module, Module> next = new IdentityHashMap<>();
    private final Set<Module> branching = Collections.newSetFromMap(new IdentityHashMap<>());
    private final IdentityHashMap<Tensor, Module> producers = new IdentityHashMap<>();
    private final List<Tensor> outputs;

    /** Calls a model on an example. */
    public CallTrace(Module model, List<Tensor> example) {
        List<Hook.Registration> hooks = new ArrayList<>();
        model.namedModules()
                .forEach((path, module) -> {
                    if (module.namedChildren().isEmpty()) {
                        List<String> all =
                                places.computeIfAbsent(module, first -> new ArrayList<>());
                        all.add(path);
                        if (all.size() == 1) {
                            hooks.add(module.onInput((self, tensors) -> consumed(module, tensors)));
                            hooks.add(
                                    module.onOutput((self, tensors) -> produced(module, tensors)));
                        }
                    }
                });
        try {
            outputs = model.callAll(example);
        } finally {
            hooks.forEach(Hook.Registration::close);
        }
    }

    private List<Tensor> consumed(Module module, List<Tensor> tensors) {
        calls.merge(module, 1, Integer::sum);
        for (Tensor tensor : tensors) {
            Module producer = producers.get(tensor);
            if (producer != null && next.put(producer, module) != null) {
                branching.add(producer);
            }
        }
        return tensors;
    }

    private List<Tensor> produced(Module module, List<Tensor> tensors) {
        tensors.forEach(tensor -> producers.put(tensor, module));
        return tensors;
    }

    /** What the model gave. */
    public List<Tensor> outputs() {
        return outputs;
    }

    /** Whether a module has no children, so that it was looked at. */
    public boolean knows(Module module) {
        return places.containsKey(module);
    }

    /** Where a module stands first. */
    public String path(Module module) {
        return places.getOrDefault(module, List.of("")).getFirst();
    }

    /**
     * Whether a module stands at one place of the model, and the call of the model called it once.
     */
    public boolean isCalledOnce(Module module) {
        return calls.getOrDefault(module, 0) == 1
                && places.getOrDefault(module, List.of()).size() == 1;
    }

    /** The one module that was handed what a module gave; null if there is none, or several. */
    public @Nullable Module follower(Module module) {
        return branching.contains(module) ? null : next.get(module);
    }
}
