package io.espalier.compress;

import io.espalier.nn.Mask;
import io.espalier.nn.Module;
import io.espalier.nn.Parametrization;
import io.espalier.nn.SharedWeights;

import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;

import java.util.ArrayList;
import java.util.List;
import java.util.SequencedMap;

/** The parameters of a model as masks and sharing leave them. */
final class Weights {
    private Weights() {}

    /** The public names of a module's own parameters, as they are stored. */
    static List<String> names(Module module) {
        List<String> names = new ArrayList<>(module.ownParameters().keySet());
        for (String name : module.parametrizedNames()) {
            names.replaceAll(own -> own.equals(module.storedName(name)) ? name : own);
        }
        return names;
    }

    /** A model's state in which what a mask leaves out is 0, and what is shared is equal. */
    static SequencedMap<String, Tensor> state(Module model) {
        SequencedMap<String, Tensor> state = model.stateDict();
        model.namedModules()
                .forEach((path, module) -> {
                    for (String name : module.parametrizedNames()) {
                        String stored = module.storedName(name);
                        state.put(
                                path.isEmpty() ? stored : path + "." + stored,
                                effective(module, name));
                    }
                });
        return state;
    }

    private static Tensor effective(Module module, String name) {
        try (var guard = new NoGradGuard()) {
            Tensor value = module.parameter(module.storedName(name)).detach();
            for (Parametrization each : module.parametrizations(name)) {
                if (each instanceof Mask || each instanceof SharedWeights) {
                    value = each.apply(module, value);
                }
            }
            return value;
        }
    }
}
