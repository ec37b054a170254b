package io.espalier.graph;

import io.espalier.tensor.Internal;

import org.bytedeco.pytorch.Tensor;

import java.util.List;

/** Sees each step of a run of a graph when it is done. */
@Internal
@FunctionalInterface
public interface StepWatcher {
    /**
     * A step is done.
     *
     * @param operands what it was given; lent for this call
     * @param results what it gave; lent for this call
     */
    void step(Node node, List<Tensor> operands, List<Tensor> results);

    /** What a graph gives, with this watching. */
    default List<Tensor> run(GraphModule module, List<Tensor> inputs) {
        return module.run(inputs, this);
    }
}
