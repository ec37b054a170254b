package io.espalier.graph;

import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerScope;
import org.jspecify.annotations.Nullable;

import java.util.function.Supplier;

/**
 * The scope of one run of a graph, which frees what library code made in it. It can step aside:
 * code of a user's own then runs as if it were not there, so that tensors which that code keeps
 * live as long as they would without a graph.
 */
final class RunScope extends PointerScope {
    private final @Nullable PointerScope outer;
    private boolean aside;

    private RunScope(@Nullable PointerScope outer) {
        this.outer = outer;
    }

    /** A scope inside the one that is open now. */
    static RunScope open() {
        return new RunScope(PointerScope.getInnerScope());
    }

    @Nullable PointerScope outer() {
        return outer;
    }

    <T> T aside(Supplier<T> code) {
        boolean before = aside;
        aside = true;
        try {
            return code.get();
        } finally {
            aside = before;
        }
    }

    @Override
    public PointerScope attach(Pointer pointer) {
        if (!aside) {
            return super.attach(pointer);
        }
        if (outer == null) {
            pointer.retainReference(); // as without any scope: the collector frees it
        } else {
            outer.attach(pointer);
        }
        return this;
    }
}
