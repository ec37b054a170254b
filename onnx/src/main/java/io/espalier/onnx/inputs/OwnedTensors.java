package io.espalier.onnx.inputs;

import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;

import java.util.Collection;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.UnaryOperator;

/** Tensors on handles that no scope frees, so that whoever made them can, or the collector. */
final class OwnedTensors {
    private OwnedTensors() {}

    /** New handles of the same tensors. */
    static Map<String, Tensor> of(Map<String, Tensor> tensors) {
        return each(tensors, tensor -> new Tensor(tensor).retainReference());
    }

    /** Frees handles of ours. */
    static void free(Map<String, Tensor> owned) {
        owned.values().forEach(Tensor::releaseReference);
    }

    /** Gives handles of ours to the scope that is open. */
    static Map<String, Tensor> handOver(Map<String, Tensor> owned) {
        Collection<Tensor> handles = owned.values();
        handles.forEach(handle -> {
            PointerScope.getInnerScope().attach(handle);
            handle.releaseReference();
        });
        return owned;
    }

    /** Some rows of each, in the scope that is open. */
    static Map<String, Tensor> rows(Map<String, Tensor> tensors, long first, long count) {
        return each(tensors, tensor -> tensor.narrow(0, first, count));
    }

    private static Map<String, Tensor> each(
            Map<String, Tensor> tensors, UnaryOperator<Tensor> made) {
        var all = new LinkedHashMap<String, Tensor>();
        tensors.forEach((name, tensor) -> all.put(name, made.apply(Tensors.requireLive(tensor))));
        return Collections.unmodifiableMap(all);
    }
}
