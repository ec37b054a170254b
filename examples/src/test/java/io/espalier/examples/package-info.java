/** Runs every example. */
@NullMarked
package io.espalier.examples;

import org.jspecify.annotations.NullMarked;
