package io.espalier.quant.layer;

/** A module that marks where a model's integers begin or end. */
public interface Stub {
    /** Whether they begin here. */
    boolean quantizes();
}
