package io.espalier.quant.graph;

import io.espalier.quant.layer.Packing;
import io.espalier.quant.observer.ObserverFactory;

/**
 * How one layer of a graph is quantized.
 *
 * @param activation makes the observers of what it takes and gives
 * @param packing how its weight becomes integers, and whose kernels compute with them
 */
public record LayerSettings(ObserverFactory activation, Packing packing) {}
