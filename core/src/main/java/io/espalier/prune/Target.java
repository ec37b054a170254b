package io.espalier.prune;

import io.espalier.nn.Module;

/**
 * A parameter to prune.
 *
 * @param module the layer that has it
 * @param name its public name, such as {@code "weight"}
 */
public record Target(Module module, String name) {}
