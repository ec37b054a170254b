package io.espalier.quant;

import io.espalier.nn.Hook;
import io.espalier.nn.Module;

import org.bytedeco.pytorch.Tensor;

import java.util.ArrayList;
import java.util.List;

/**
 * A user's hook in a model that computes in integers: it sees the floats that these stand for, as
 * it did before. What it leaves as it is goes on as integers, what it gives instead as floats.
 */
record FloatHook(Hook hook) implements QuantizationHook {
    /** The hook itself if it is one of ours, which know what to do with integers. */
    static Hook around(Hook hook) {
        return hook instanceof QuantizationHook ? hook : new FloatHook(hook);
    }

    @Override
    public List<Tensor> apply(Module module, List<Tensor> tensors) {
        List<Tensor> floats = DequantizeHook.inFloat(tensors);
        List<Long> versions = floats.stream().map(FloatHook::version).toList();
        List<Tensor> answer = new ArrayList<>(hook.apply(module, floats));
        for (int i = 0; i < floats.size(); i++) {
            if (tensors.get(i).is_quantized() && versions.get(i) == version(floats.get(i))) {
                putBack(answer, floats.get(i), tensors.get(i));
            }
        }
        return answer;
    }

    /** How often a tensor was changed in place. */
    private static long version(Tensor tensor) {
        return tensor.is_inference() ? 0 : tensor._version();
    }

    @SuppressWarnings("ReferenceEquality") // whether a hook gives what it was handed
    private static void putBack(List<Tensor> answer, Tensor floats, Tensor integers) {
        answer.replaceAll(tensor -> tensor == floats ? integers : tensor);
    }
}
