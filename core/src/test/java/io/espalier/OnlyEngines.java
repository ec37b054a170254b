package io.espalier;

/** Hides all engines but some while it is open, as on a platform that has no others. */
public final class OnlyEngines implements AutoCloseable {
    private static final String PROPERTY = "espalier.engines";

    private OnlyEngines() {}

    /** Leaves the engines of a list such as {@code "qnnpack,onednn"}. */
    public static OnlyEngines of(String names) {
        System.setProperty(PROPERTY, names);
        return new OnlyEngines();
    }

    @Override
    public void close() {
        System.clearProperty(PROPERTY);
    }
}
