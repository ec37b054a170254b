package io.espalier.slim;

import io.espalier.graph.Value;

import org.jspecify.annotations.Nullable;

/**
 * What a step of a program is given.
 *
 * @param known the channels along its dimensions
 * @param value it in the program; null for a layer's own tensor
 * @param constant the name of the parameter or buffer that it is; null if it is none
 */
record ModelOperand(ChannelValue known, @Nullable Value value, @Nullable String constant) {}
