package io.espalier.state;

import io.espalier.tensor.Internal;
import io.espalier.tensor.Needed;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;

/**
 * Tensors by name whose types and shapes are known before their data are read: a state in memory,
 * or in a file.
 */
@Internal
public interface TensorSource {
    /**
     * What is known of a tensor before it is read.
     *
     * @param type of its elements
     * @param shape the size of each dimension
     */
    record Kind(ScalarType type, List<Long> shape) {
        /** That of a tensor in memory. */
        public static Kind of(Tensor tensor) {
            return new Kind(
                    Tensors.type(tensor), Arrays.stream(Tensors.shape(tensor)).boxed().toList());
        }

        @Override
        public String toString() {
            return type + " " + shape;
        }
    }

    /** The tensors that there are. */
    SequencedMap<String, Kind> kinds();

    /**
     * Makes sure that tensors can be read and are as they were saved, and keeps none of them.
     *
     * @throws io.espalier.tensor.EspalierException if one can't be read or was changed
     */
    void verify(Collection<String> names);

    /** A tensor; it belongs to the caller's scope, and may be one that the source goes on using. */
    Tensor tensor(String name);

    /** Copies a tensor into another of its kind. */
    void copyTo(String name, Tensor target);

    /** A state in memory. */
    static TensorSource of(Map<String, Tensor> tensors) {
        return new TensorsInMemory(Needed.of(tensors, "the state"));
    }
}
