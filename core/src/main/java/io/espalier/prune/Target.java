package io.espalier.prune;

import io.espalier.nn.Module;
import io.espalier.tensor.Needed;

import org.bytedeco.pytorch.Tensor;

import java.util.IdentityHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/**
 * A parameter to prune.
 *
 * @param module the layer that has it
 * @param name its public name, such as {@code "weight"}
 */
public record Target(Module module, String name) {
    /** Refuses nulls. */
    public Target {
        Needed.of(module, "the module to prune");
        Needed.of(name, "the name of the parameter to prune");
    }

    /**
     * What is worth pruning in a model: its floating-point parameters of 2 or more dimensions,
     * which leaves out biases and normalization. A layer that stands at two places is listed once;
     * a weight that two modules hold is left out, since a mask would stand at one of them only.
     */
    public static List<Target> weights(Module model) {
        var holders = new IdentityHashMap<Tensor, Set<Module>>();
        for (Module module : Needed.of(model, "the model").namedModules().values()) {
            for (Tensor stored : module.ownParameters().values()) {
                holders.computeIfAbsent(stored, tensor -> new LinkedHashSet<>()).add(module);
            }
        }
        Set<Target> targets = new LinkedHashSet<>();
        for (Module module : model.namedModules().values()) {
            for (String name : Site.names(module)) {
                Tensor stored = module.parameter(module.storedName(name));
                boolean alone = holders.getOrDefault(stored, Set.of()).size() == 1;
                if (stored.dim() >= 2 && stored.is_floating_point() && alone) {
                    targets.add(new Target(module, name));
                }
            }
        }
        return List.copyOf(targets);
    }
}
