package io.espalier.nn;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;

import org.bytedeco.pytorch.Tensor;

import java.util.List;
import java.util.SequencedMap;

/**
 * Modules one after another: each gets what the one before gave. Its children are called "0", "1",
 * and so on, or as they are named.
 */
public class Sequential extends Module implements AllAtOnce {
    /** The modules in their order, named "0", "1", and so on. */
    public Sequential(Module... modules) {
        for (Module module : Needed.of(modules, "the modules")) {
            append(module);
        }
    }

    /** The modules in the map's order under their names. */
    public static Sequential named(SequencedMap<String, ? extends Module> modules) {
        Sequential sequential = new Sequential();
        Needed.of(modules, "the modules").forEach(sequential::append);
        return sequential;
    }

    /** Adds a module at the end, named by its position, and returns this. */
    public final Sequential append(Module module) {
        return append(Integer.toString(size()), module);
    }

    /**
     * Adds a module at the end under a name and returns this.
     *
     * @throws EspalierException if the name is taken, empty or has a dot
     */
    public final Sequential append(String name, Module module) {
        add(name, module);
        return this;
    }

    /** The number of modules. */
    public final int size() {
        return namedChildren().size();
    }

    /**
     * The module that stands at a position now.
     *
     * @throws EspalierException if there is none
     */
    public final Module get(int index) {
        if (index < 0 || index >= size()) {
            throw new EspalierException(
                    "No module at " + index + " in a Sequential of " + size() + ".");
        }
        return List.copyOf(namedChildren().values()).get(index);
    }

    @Override
    public boolean isPure() {
        return computesAs(Sequential.class);
    }

    @Override
    protected Tensor forward(Tensor input) {
        return only(inTurn(List.of(input)));
    }

    @Override
    protected List<Tensor> forwardAll(List<Tensor> inputs) {
        return inTurn(inputs);
    }

    private List<Tensor> inTurn(List<Tensor> inputs) {
        List<Tensor> seen = inputs;
        for (Module module : namedChildren().values()) {
            seen = module.callAll(seen);
        }
        return seen;
    }
}
