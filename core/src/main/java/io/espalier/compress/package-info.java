/**
 * Models stored small: few values for the weights of a layer, and files that are as small as what
 * is in them.
 */
@NullMarked
package io.espalier.compress;

import org.jspecify.annotations.NullMarked;
