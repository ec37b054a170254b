package io.espalier.onnx.quant;

import io.espalier.graph.Size;
import io.espalier.onnx.lower.LoweredModel;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/** Several batches as one, where a model takes that. */
final class JoinedBatches {
    /** As many elements as an input of one call may have, so that values inside fit too. */
    private static final long MOST_ELEMENTS = 3L << 18;

    private JoinedBatches() {}

    /**
     * The first batches of one shape, as one call of the model takes them; the first alone where it
     * takes one number of examples only.
     */
    static List<Tensor> of(LoweredModel model, List<Map<String, Tensor>> batches) {
        List<Tensor> first = model.ordered(batches.getFirst());
        List<List<Tensor>> joined = new ArrayList<>(List.of(first));
        if (!takesAnyNumber(model)) {
            return first;
        }
        long elements = largest(first);
        for (Map<String, Tensor> batch : batches.subList(1, batches.size())) {
            List<Tensor> next = model.ordered(batch);
            elements += largest(next);
            if (elements > MOST_ELEMENTS || !areAlike(first, next)) {
                break;
            }
            joined.add(next);
        }
        List<Tensor> inputs = new ArrayList<>();
        for (int i = 0; i < first.size(); i++) {
            int place = i;
            Tensor[] parts = joined.stream().map(batch -> batch.get(place)).toArray(Tensor[]::new);
            inputs.add(torch.cat(new TensorVector(parts), 0));
        }
        return inputs;
    }

    /** Whether the first dimension of each input is one and the same free one. */
    private static boolean takesAnyNumber(LoweredModel model) {
        List<Size> sizes =
                model.module().graph().signature().types().values().stream()
                        .map(type ->
                                type.shape().isEmpty()
                                        ? new Size.Fixed(1)
                                        : type.shape().getFirst())
                        .distinct()
                        .toList();
        return sizes.size() == 1 && sizes.getFirst() instanceof Size.Free;
    }

    private static long largest(List<Tensor> batch) {
        return batch.stream().mapToLong(Tensor::numel).max().orElse(0);
    }

    private static boolean areAlike(List<Tensor> one, List<Tensor> other) {
        for (int i = 0; i < one.size(); i++) {
            long[] a = Tensors.shape(one.get(i));
            long[] b = Tensors.shape(other.get(i));
            if (a.length == 0
                    || a.length != b.length
                    || !Arrays.equals(a, 1, a.length, b, 1, b.length)) {
                return false;
            }
        }
        return true;
    }
}
