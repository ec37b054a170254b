/**
 * Modules, layers and functions: networks as trees of named parameters, with PyTorch's names and
 * mathematics.
 */
@NullMarked
package io.espalier.nn;

import org.jspecify.annotations.NullMarked;
