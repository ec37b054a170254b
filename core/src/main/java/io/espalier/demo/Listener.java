package io.espalier.demo;

/** Hears how far the work is. */
public interface Listener {
    /** A part of the work begins. */
    void begins(String work, long steps);

    /** One of its steps is done. */
    void step(String note);
}
