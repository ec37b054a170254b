package io.espalier.prune;

import io.espalier.nn.Module;

import org.bytedeco.pytorch.Tensor;

import java.util.ArrayList;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;

/**
 * A parameter to prune.
 *
 * @param module the layer that has it
 * @param name its public name, such as {@code "weight"}
 */
public record Target(Module module, String name) {
    /**
     * What is worth pruning in a model: its floating-point parameters of 2 or more dimensions,
     * which leaves out biases and normalization. One that stands at two places is listed once.
     */
    public static List<Target> weights(Module model) {
        List<Target> targets = new ArrayList<>();
        var seen = Collections.newSetFromMap(new IdentityHashMap<Tensor, Boolean>());
        for (Module module : model.namedModules().values()) {
            for (String name : Site.names(module)) {
                Tensor stored = module.parameter(module.storedName(name));
                if (stored.dim() >= 2 && stored.is_floating_point() && seen.add(stored)) {
                    targets.add(new Target(module, name));
                }
            }
        }
        return targets;
    }
}
