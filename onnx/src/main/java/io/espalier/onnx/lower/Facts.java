package io.espalier.onnx.lower;

import io.espalier.graph.Size;
import io.espalier.onnx.model.ElementType;

import org.jspecify.annotations.Nullable;

import java.util.List;

/** What is known of values before the model runs. */
interface Facts {
    @Nullable ElementType type(String value);

    /** Its lengths, of which some may be {@link Size.Unknown}; null if not even their number is. */
    @Nullable List<Size> shape(String value);

    /** The elements of a small tensor of integers, if all follow from the inputs' lengths. */
    @Nullable List<Size> integers(String value);
}
