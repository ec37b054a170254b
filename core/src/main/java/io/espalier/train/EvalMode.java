package io.espalier.train;

import io.espalier.nn.Module;

import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Puts a model in inference mode and, when closed, each of its modules back in the mode it was in:
 * a layer that was frozen on purpose stays frozen.
 */
public final class EvalMode implements AutoCloseable {
    private final Map<Module, Boolean> before = new LinkedHashMap<>();

    /** Puts a model and all below it in inference mode. */
    public EvalMode(Module model) {
        model.namedModules().values().forEach(module -> before.put(module, module.isTraining()));
        model.eval();
    }

    @Override
    public void close() {
        // Parents come first, so that what is set below them stands.
        before.forEach(Module::training);
    }
}
