package io.espalier.slim;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Internal;

import org.bytedeco.pytorch.Tensor;

/** What a layer {@code y = xW} loses by each of its inputs that goes, and its weight without it. */
@Internal
public interface InputCosts extends AutoCloseable {
    /** The matrix of the products of more inputs would take over 200 MB. */
    long MOST_INPUTS = 5000;

    /**
     * Refuses products of inputs of which nothing can be said.
     *
     * @param layer whose inputs they are
     * @throws EspalierException if some are not finite
     */
    static void requireFinite(Tensor products, String layer) {
        if (!products.isfinite().all().item_bool()) {
            throw new EspalierException(
                    "What '%s' is given on the calibration data is not finite, or so large that its squares are not; mend the data, or the weights before it."
                            .formatted(layer));
        }
    }

    /**
     * What is lost if one unit goes, for each of them: squares of differences of what the layer
     * gives, as a share of the squares of what it gives.
     *
     * @param units the inputs of each, integers [units, inputs of each]
     * @return doubles [units], of the caller's scope
     */
    Tensor losses(Tensor units);

    /**
     * Takes inputs out, those aside that are gone.
     *
     * @param inputs integers [inputs]
     */
    void remove(Tensor inputs);

    /** The weight as it is now, doubles [inputs, outputs]; zero where an input is gone. */
    Tensor weight();

    /** The same, that goes on by itself. */
    InputCosts copy();

    @Override
    void close();
}
