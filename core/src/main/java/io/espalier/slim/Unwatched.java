package io.espalier.slim;

import io.espalier.nn.Hook;
import io.espalier.nn.LayerForm;
import io.espalier.nn.Module;
import io.espalier.nn.Sequential;
import io.espalier.nn.WatchingHook;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * A model that trains for integers, which nothing watches and which rounds no weight as long as
 * this is open; other models are left as they are.
 */
final class Unwatched implements AutoCloseable {
    private final Map<Module, Module> hooks = new LinkedHashMap<>();
    private final List<Runnable> forms = new ArrayList<>();

    Unwatched(Module model) {
        Set<Module> all = Set.copyOf(model.namedModules().values());
        if (all.stream().noneMatch(LayerForm.class::isInstance)) {
            return;
        }
        for (Module module : all) {
            if (module instanceof LayerForm form) {
                forms.add(form.plain());
            }
            if (module.hasHook(WatchingHook.class)) {
                take(module);
            }
        }
    }

    private void take(Module module) {
        var all = new Sequential();
        all.takeHooks(module);
        hooks.put(module, all);
        module.removeHooks(WatchingHook.class);
    }

    /** Whether there were any. */
    boolean isWatched() {
        return !hooks.isEmpty() || !forms.isEmpty();
    }

    @Override
    public void close() {
        forms.reversed().forEach(Runnable::run);
        hooks.forEach((module, all) -> {
            module.removeHooks(Hook.class);
            module.takeHooks(all);
        });
    }
}
