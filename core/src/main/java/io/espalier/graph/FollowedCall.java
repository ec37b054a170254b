package io.espalier.graph;

import io.espalier.nn.Module;
import io.espalier.tensor.Internal;

import org.bytedeco.pytorch.Tensor;

import java.util.List;
import java.util.Set;

/**
 * A call of a module that a program has no step for, since what it calls and computes is in the
 * program instead.
 *
 * @param path the module's dotted path
 * @param results what it gave; a module may hand on what it was given
 * @param within what was computed in it
 */
@Internal
public record FollowedCall(String path, List<Value> results, Set<Value> within) {
    /** Copies the lists. */
    public FollowedCall {
        results = List.copyOf(results);
        within = Set.copyOf(within);
    }

    /**
     * The calls of a model that can be traced, in the order in which they ended, with the values
     * that {@link GraphModule#trace} has; what nothing depends on is among them too.
     */
    public static List<FollowedCall> of(Module model, List<Tensor> example) {
        return new Tracing(model, example).followedCalls();
    }
}
