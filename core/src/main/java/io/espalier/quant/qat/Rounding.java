package io.espalier.quant.qat;

import io.espalier.nn.Module;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Internal;
import io.espalier.tensor.Needed;

import java.util.List;

/** A fake quantization of either kind, with its two switches. */
@Internal
public interface Rounding {
    /** Lets values be rounded, or pass unchanged. */
    void enableFakeQuant(boolean enabled);

    /** Lets the range follow the data. */
    void enableObserver(boolean enabled);

    /**
     * All in a model.
     *
     * @throws EspalierException if there is none
     */
    static List<Rounding> in(Module model) {
        List<Rounding> found =
                Needed.of(model, "the model").namedModules().values().stream()
                        .filter(Rounding.class::isInstance)
                        .map(Rounding.class::cast)
                        .toList();
        if (found.isEmpty()) {
            throw new EspalierException(
                    "The model has no fake quantization; call Quantization.prepareQat on it"
                            + " first.");
        }
        return found;
    }
}
