/**
 * Reads reference cases that PyTorch produced, runs them on Espalier, and says which differ.
 *
 * <p>{@link Conformance} is the entry. A {@code Group} runs the cases of one file; the files'
 * format is described beside them, in {@code vectors/README.md}.
 */
@NullMarked
package io.espalier.conformance;

import org.jspecify.annotations.NullMarked;
