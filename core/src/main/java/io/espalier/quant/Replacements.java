package io.espalier.quant;

import io.espalier.nn.Hook;
import io.espalier.nn.Module;

import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.UnaryOperator;

/**
 * What is to take the places of a model's layers: made first, put in when all is made, so that a
 * failure leaves the model as it was. A layer that stands at several places is made once.
 */
final class Replacements {
    private final Map<String, Module> byPath = new LinkedHashMap<>();
    private final IdentityHashMap<Module, Module> made = new IdentityHashMap<>();

    /** Makes what takes the place of the layer at a path; the layer itself stays there. */
    void add(String path, Module layer, UnaryOperator<Module> make) {
        Module fresh = made.computeIfAbsent(layer, old -> inPlaceOf(old, make.apply(old)));
        if (!fresh.equals(layer)) {
            byPath.put(path, fresh);
        }
    }

    boolean isEmpty() {
        return byPath.isEmpty();
    }

    boolean contains(String path) {
        return byPath.containsKey(path);
    }

    void apply(Module model) {
        byPath.forEach(model::replace);
    }

    /** A module that takes a layer's mode and hooks along with its place. */
    static Module inPlaceOf(Module layer, Module fresh) {
        if (!fresh.equals(layer)) {
            fresh.training(layer.isTraining());
            fresh.removeHooks(Hook.class);
            fresh.takeInputHooks(layer);
            fresh.takeOutputHooks(layer);
        }
        return fresh;
    }
}
