package io.espalier.onnx.inputs;

import org.bytedeco.pytorch.Tensor;

import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;

/** Where batches come from; it can be gone through again and again. */
interface BatchSource {
    /** The batches from the first on, each made when it is asked for, in the scope open then. */
    Iterator<Made> batches();

    /** How many there are, unless only going through them tells. */
    default OptionalInt count() {
        return OptionalInt.empty();
    }

    /** The right answers, an example each; none if they are not known. */
    default List<String> labels() {
        return List.of();
    }

    /** What whoever uses these inputs has to know. */
    default Optional<String> warning() {
        return Optional.empty();
    }

    /** What they are, for an error. */
    String name();

    /**
     * A batch that the model has not been asked about yet.
     *
     * @param origin where it comes from, for an error
     */
    record Made(String origin, Map<String, Tensor> tensors) {}
}
