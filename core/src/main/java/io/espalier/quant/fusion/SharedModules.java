package io.espalier.quant.fusion;

import io.espalier.nn.Module;
import io.espalier.tensor.EspalierException;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;

/**
 * The modules that stand at several places of a model. Fusing replaces a module wherever it stands,
 * so all its places must become the same.
 */
final class SharedModules {
    private final IdentityHashMap<Module, List<String>> places = new IdentityHashMap<>();

    SharedModules(Module model) {
        model.namedModules()
                .forEach((path, module) ->
                        places.computeIfAbsent(module, one -> new ArrayList<>()).add(path));
    }

    /**
     * Refuses chains that hold only some of a module's places, or begin with one layer and go on
     * differently.
     */
    void requireFusedEverywhere(List<Fusion.Chain> chains) {
        Set<String> named = new HashSet<>();
        chains.forEach(chain -> named.addAll(chain.paths()));
        for (Map.Entry<Module, List<String>> entry : places.entrySet()) {
            List<String> all = entry.getValue();
            List<String> left = all.stream().filter(path -> !named.contains(path)).toList();
            if (!left.isEmpty() && left.size() < all.size()) {
                String fused = all.stream().filter(named::contains).findFirst().orElseThrow();
                throw new EspalierException(
                        "Can't fuse '"
                                + fused
                                + "': the same module also stands at '"
                                + left.getFirst()
                                + "', where it is not fused; name both places, or give each a"
                                + " module of its own.");
            }
        }
        var first = new IdentityHashMap<Module, Fusion.Chain>();
        for (Fusion.Chain chain : chains) {
            Fusion.Chain other = first.putIfAbsent(chain.layer(), chain);
            if (other != null
                    && (!Objects.equals(chain.norm(), other.norm())
                            || (chain.relu() == null) != (other.relu() == null))) {
                throw new EspalierException(
                        "Can't fuse "
                                + other.paths()
                                + " and "
                                + chain.paths()
                                + ": both begin with the same layer and go on differently; give"
                                + " each a layer of its own.");
            }
        }
    }
}
