package io.espalier.quant.layer;

import io.espalier.nn.Module;
import io.espalier.quant.layer.QuantizedLayer.Range;
import io.espalier.quant.observer.Observer;
import io.espalier.quant.observer.ObserverFactory;
import io.espalier.tensor.EspalierException;

import org.jspecify.annotations.Nullable;

import java.util.Optional;

/**
 * A layer where it stands in a model, with what its configuration says and its observers found.
 *
 * @param path where it stands
 * @param layer the layer
 * @param activation makes the observers of activations
 * @param packing how its weight becomes integers
 * @param tableWeight makes the observer of the rows of a table
 */
public record PlacedLayer(
        String path,
        Module layer,
        ObserverFactory activation,
        Packing packing,
        ObserverFactory tableWeight) {
    /** The observer at a place of the layer, where it was prepared. */
    public Optional<Observer> observer(String place) {
        return layer.namedChildren().get(place) instanceof Observer observer
                ? Optional.of(observer)
                : Optional.empty();
    }

    /**
     * The range of its output.
     *
     * @throws EspalierException if it was not observed
     */
    Range output() {
        Observer observer =
                observer(Observer.OUTPUT)
                        .orElseThrow(() ->
                                new EspalierException(
                                        "'"
                                                + path
                                                + "' was added after prepare and has no"
                                                + " observer; prepare the model again."));
        return Range.of(path, observer.quantizationParameters());
    }

    /** The range of its output; null where the observer saw none. */
    @Nullable Range outputIfSeen() {
        boolean unseen = observer(Observer.OUTPUT).filter(o -> !o.hasObserved()).isPresent();
        return unseen ? null : output();
    }

    /** The range of its input; null where that did not come as floats that nobody observed. */
    @Nullable Range input() {
        return observer(Observer.INPUT)
                .map(observer -> Range.of(path, observer.quantizationParameters()))
                .orElse(null);
    }
}
