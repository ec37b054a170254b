package io.espalier.nn;

import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Operators;
import io.espalier.tensor.TensorException;

import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.T_TensorTensor_T;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.TensorVector;
import org.jspecify.annotations.Nullable;

import java.lang.ref.Reference;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Supplier;

/** How a catalogue of {@link Functional} tells what it computed, where somebody listens. */
abstract sealed class RecordedFunctions permits ShapeFunctions {
    static {
        Libtorch.start();
    }

    /** Computes, and tells the recorder, where one is bound, which operator gave the result. */
    static Tensor computed(
            Supplier<Tensor> computation, String operator, @Nullable Object... arguments) {
        Tensor result = unrecorded(computation, operator, arguments);
        if (CallRecorder.CURRENT.isBound()) {
            record(List.of(result), operator, arguments);
        }
        return result;
    }

    /** As {@link #computed}, of an operator with several results. */
    static List<Tensor> computedAll(
            Supplier<List<Tensor>> computation, String operator, @Nullable Object... arguments) {
        List<Tensor> results = unrecorded(computation, operator, arguments);
        if (CallRecorder.CURRENT.isBound()) {
            record(results, operator, arguments);
        }
        return results;
    }

    private static void record(
            List<Tensor> results, String operator, @Nullable Object... arguments) {
        CallRecorder.CURRENT.get().function(results, operator, Arrays.asList(arguments));
    }

    /**
     * Computes.
     *
     * @param operator what an error calls it: the operator's name, or that without its namespace
     * @param arguments the first or all of the operator's arguments in its schema's order
     * @throws io.espalier.tensor.EspalierException if a tensor was freed before, or null is given
     *     where the operator needs a value
     */
    static <R> R unrecorded(
            Supplier<R> computation, String operator, @Nullable Object... arguments) {
        for (int i = 0; i < arguments.length; i++) {
            if (arguments[i] == null) {
                String name = operator.contains("::") ? operator : "aten::" + operator;
                Operators.find(name).requireOptional(i);
            }
        }
        try {
            return computation.get();
        } catch (NullPointerException e) {
            throw TensorException.ofFreed(operator, e);
        }
    }

    static TensorOptional optional(@Nullable Tensor tensor) {
        return tensor == null ? new TensorOptional() : new TensorOptional(tensor);
    }

    static TensorVector vector(List<Tensor> tensors) {
        return new TensorVector(tensors.toArray(Tensor[]::new));
    }

    /** The tensors of a native list, each on its own. */
    static List<Tensor> owned(TensorVector vector) {
        List<Tensor> tensors = new ArrayList<>();
        for (long i = 0; i < vector.size(); i++) {
            tensors.add(new Tensor(vector.get(i)));
        }
        return List.copyOf(tensors);
    }

    /** Tensors of their own, where those that a native tuple gives are views into it. */
    static List<Tensor> owned(Pointer tuple, Tensor... parts) {
        try {
            return Arrays.stream(parts).map(Tensor::new).toList();
        } finally {
            Reference.reachabilityFence(tuple);
        }
    }

    static List<Tensor> pair(T_TensorTensor_T tuple) {
        return owned(tuple, tuple.get0(), tuple.get1());
    }
}
