package io.espalier.nn;

import io.espalier.tensor.Internal;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.List;
import java.util.function.Supplier;

/**
 * Sees every call of a module and of a {@link Functional} while it is bound, which is how a model
 * is traced. Elsewhere nothing is bound, and calls go their plain way.
 */
@Internal
public interface CallRecorder {
    /** The recorder of the running thread. */
    ScopedValue<CallRecorder> CURRENT = ScopedValue.newInstance();

    /**
     * A module is called.
     *
     * @param module what stands at the place that was called
     * @param forward computes the outputs, with all that belongs to a call
     * @return the outputs
     */
    List<Tensor> module(Module module, List<Tensor> inputs, Supplier<List<Tensor>> forward);

    /**
     * A function was computed.
     *
     * @param results what it gave: the operator's one result, or each of several, those of a list
     *     one by one
     * @param operator the libtorch operator with its overload, such as {@code "aten::add.Tensor"}
     * @param arguments the operator's arguments in its schema's order; the last ones may be left
     *     out where the schema has a default
     */
    void function(List<Tensor> results, String operator, List<@Nullable Object> arguments);

    /** A parameter was computed from what is stored: it passed through a mask or the like. */
    void parameter(Module owner, String name, Tensor value);
}
