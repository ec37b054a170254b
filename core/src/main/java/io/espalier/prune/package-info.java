/**
 * Pruning: masks over parameters, how important each weight is, when to take how much, and what
 * comes of it.
 */
@NullMarked
package io.espalier.prune;

import org.jspecify.annotations.NullMarked;
