package io.espalier.quant.observer;

/** Looks at nothing and says nothing: its place stays in float. PyTorch's {@code NoopObserver}. */
public class NoopObserver extends UnscaledObserver {
    /** An observer with these settings. */
    public NoopObserver(ObserverSettings settings) {
        super(settings);
    }

    /** The default settings, to change and to make observers of. */
    public static ObserverSettings with() {
        return ObserverSettings.of(NoopObserver::new);
    }
}
