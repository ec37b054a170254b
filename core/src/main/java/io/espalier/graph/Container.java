package io.espalier.graph;

import io.espalier.nn.Module;

/** An inner place of a graph module's tree, which holds what is below it and computes nothing. */
final class Container extends Module {
    /** A place with a module's own tensors and its qconfig. */
    static Container of(Module module) {
        var container = new Container();
        container.adopt(module);
        container.takeAttachments(module);
        return container;
    }

    @Override
    protected String typeName() {
        return "Module";
    }
}
