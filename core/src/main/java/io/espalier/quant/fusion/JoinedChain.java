package io.espalier.quant.fusion;

import io.espalier.nn.Hook;
import io.espalier.nn.Module;

import org.bytedeco.pytorch.Tensor;

import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Objects;

/**
 * Lets a model compute as if a chain were fused, until it is closed: the whole chain where its
 * first module is called, and nothing where the others are. The numbers are the very same, so the
 * model's output must be, too, unless a result in the middle is used elsewhere.
 */
final class JoinedChain implements AutoCloseable {
    private final List<Module> rest;
    private final IdentityHashMap<Module, List<Tensor>> handed = new IdentityHashMap<>();
    private final List<Hook.Registration> hooks = new ArrayList<>();
    private boolean joining;

    JoinedChain(List<Module> chain) {
        rest = chain.subList(1, chain.size());
        hooks.add(chain.getFirst().onOutput((first, tensors) -> joined(tensors)));
        for (Module module : rest) {
            hooks.add(
                    module.onInput((self, tensors) -> {
                        handed.put(module, tensors);
                        return tensors;
                    }));
            hooks.add(
                    module.onOutput((self, tensors) ->
                            joining ? tensors : Objects.requireNonNull(handed.get(module))));
        }
    }

    private List<Tensor> joined(List<Tensor> tensors) {
        joining = true;
        try {
            List<Tensor> result = tensors;
            for (Module module : rest) {
                result = module.callAll(result);
            }
            return result;
        } finally {
            joining = false;
        }
    }

    @Override
    public void close() {
        hooks.forEach(Hook.Registration::close);
    }
}
