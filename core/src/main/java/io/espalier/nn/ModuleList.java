package io.espalier.nn;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;

import java.util.ArrayList;
import java.util.Collections;
import java.util.Iterator;
import java.util.List;

/**
 * Modules in a list, called "0", "1", and so on. It computes nothing; its owner says in what order
 * they run.
 */
public class ModuleList<M extends Module> extends Module implements Iterable<M> {
    private final List<M> modules = new ArrayList<>();

    /** The modules in their order. */
    @SafeVarargs
    @SuppressWarnings("varargs") // the array is only read
    public ModuleList(M... modules) {
        this(Needed.all(modules, "the modules"));
    }

    /** The modules in their order. */
    public ModuleList(Iterable<? extends M> modules) {
        Needed.of(modules, "the modules").forEach(this::append);
    }

    /** Adds a module at the end and returns this. */
    public final ModuleList<M> append(M module) {
        modules.add(add(Integer.toString(modules.size()), module));
        return this;
    }

    /** The number of modules. */
    public final int size() {
        return modules.size();
    }

    /**
     * The module that was put at a position. Like a field of a module, it goes on answering when
     * another was put in its place.
     *
     * @throws EspalierException if there is none
     */
    public final M get(int index) {
        if (index < 0 || index >= size()) {
            throw new EspalierException(
                    "No module at " + index + " in a ModuleList of " + size() + ".");
        }
        return modules.get(index);
    }

    @Override
    public final Iterator<M> iterator() {
        return Collections.unmodifiableList(modules).iterator();
    }
}
