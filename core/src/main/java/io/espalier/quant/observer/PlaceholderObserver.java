package io.espalier.quant.observer;

/**
 * Says what type a value is to have, and looks at nothing: activations of dynamic quantization,
 * whose scale is found while the model runs, and 16-bit floats, which have none. PyTorch's {@code
 * PlaceholderObserver}.
 */
public class PlaceholderObserver extends UnscaledObserver {
    /** An observer with these settings. */
    public PlaceholderObserver(ObserverSettings settings) {
        super(settings);
    }

    /** The default settings, to change and to make observers of. */
    public static ObserverSettings with() {
        return ObserverSettings.of(PlaceholderObserver::new);
    }

    @Override
    protected String extraRepr() {
        return "dtype=" + dtype();
    }
}
