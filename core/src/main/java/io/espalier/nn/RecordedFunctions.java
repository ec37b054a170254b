package io.espalier.nn;

import io.espalier.tensor.Libtorch;
import io.espalier.tensor.TensorException;

import org.bytedeco.javacpp.Pointer;
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
        return recorded(unrecorded(computation, operator), operator, arguments);
    }

    /**
     * Computes.
     *
     * @throws io.espalier.tensor.EspalierException if a tensor was freed before
     */
    static Tensor unrecorded(Supplier<Tensor> computation, String operator) {
        try {
            return computation.get();
        } catch (NullPointerException e) {
            throw TensorException.ofFreed(operator, e);
        }
    }

    /** Tells the recorder, where one is bound, which operator gave a result. */
    static Tensor recorded(Tensor result, String operator, @Nullable Object... arguments) {
        if (CallRecorder.CURRENT.isBound()) {
            recorded(List.of(result), operator, arguments);
        }
        return result;
    }

    /** As {@link #recorded(Tensor, String, Object...)}, of an operator with several results. */
    static List<Tensor> recorded(
            List<Tensor> results, String operator, @Nullable Object... arguments) {
        if (CallRecorder.CURRENT.isBound()) {
            CallRecorder.CURRENT.get().function(results, operator, Arrays.asList(arguments));
        }
        return results;
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
}
