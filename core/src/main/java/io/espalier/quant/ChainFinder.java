package io.espalier.quant;

import io.espalier.nn.Hook;
import io.espalier.nn.Module;
import io.espalier.tensor.EspalierException;
import io.espalier.train.EvalMode;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Set;

/**
 * Finds the chains of a model that can be fused, by running it on an example: a layer follows
 * another when it is handed the very tensor that the other gave. Each chain is then tried on a
 * copy, and kept if the model's output stays what it was; so a result that is used at a second
 * place, which the calls of layers don't show, is left alone.
 */
final class ChainFinder {
    /** How far folding may move an output, relative and absolute: rounding of 32-bit floats. */
    private static final double TOLERANCE = 1e-3;

    private final Module model;
    private final IdentityHashMap<Module, String> paths = new IdentityHashMap<>();
    private final IdentityHashMap<Module, Integer> calls = new IdentityHashMap<>();
    private final IdentityHashMap<Module, Module> next = new IdentityHashMap<>();
    private final Set<Module> branching =
            java.util.Collections.newSetFromMap(new IdentityHashMap<>());
    private final IdentityHashMap<Tensor, Module> producers = new IdentityHashMap<>();

    private ChainFinder(Module model) {
        this.model = model;
    }

    static List<List<String>> find(Module model, List<Tensor> example) {
        try (var mode = new EvalMode(model);
                var noGrad = new NoGradGuard();
                var scope = new PointerScope()) {
            var finder = new ChainFinder(model);
            List<Tensor> expected = finder.trace(example);
            List<List<String>> chains = finder.candidates();
            if (chains.isEmpty() || finder.keeps(chains, example, expected)) {
                return chains;
            }
            return chains.stream()
                    .filter(chain -> finder.keeps(List.of(chain), example, expected))
                    .toList();
        }
    }

    private List<Tensor> trace(List<Tensor> example) {
        List<Hook.Registration> hooks = new ArrayList<>();
        model.namedModules()
                .forEach((path, module) -> {
                    if (module.namedChildren().isEmpty() && paths.put(module, path) == null) {
                        hooks.add(module.onInput((self, tensors) -> consumed(module, tensors)));
                        hooks.add(module.onOutput((self, tensors) -> produced(module, tensors)));
                    }
                });
        try {
            return model.callAll(example);
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

    private List<List<String>> candidates() {
        List<List<String>> chains = new ArrayList<>();
        Set<String> taken = new HashSet<>();
        for (String path : model.namedModules().keySet()) {
            Module module = model.module(path);
            if (!paths.containsKey(module) || taken.contains(path)) {
                continue;
            }
            List<String> chain = longest(module);
            if (chain.size() > 1) {
                taken.addAll(chain);
                chains.add(chain);
            }
        }
        return chains;
    }

    /** The longest chain from a module on that has a fused form. */
    private List<String> longest(Module first) {
        List<String> best = List.of();
        List<String> chain = new ArrayList<>();
        for (@Nullable Module module = first; module != null; module = follower(module)) {
            chain.add(paths.getOrDefault(module, ""));
            if (calls.getOrDefault(module, 0) != 1) {
                break;
            }
            if (chain.size() > 1 && Fusion.fits(model, chain)) {
                best = List.copyOf(chain);
            }
            if (chain.size() == 3) {
                break;
            }
        }
        return best;
    }

    private @Nullable Module follower(Module module) {
        return branching.contains(module) ? null : next.get(module);
    }

    private boolean keeps(List<List<String>> chains, List<Tensor> example, List<Tensor> expected) {
        Module trial = model.copy();
        trial.eval();
        try {
            Fusion.fuse(trial, chains);
            List<Tensor> outputs = trial.callAll(example);
            for (int i = 0; i < expected.size(); i++) {
                if (!torch.allclose(outputs.get(i), expected.get(i), TOLERANCE, TOLERANCE, true)) {
                    return false;
                }
            }
            return true;
        } catch (EspalierException e) {
            return false;
        }
    }
}
