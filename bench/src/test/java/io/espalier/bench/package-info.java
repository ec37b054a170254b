/** The benchmarks start. */
@NullMarked
package io.espalier.bench;

import org.jspecify.annotations.NullMarked;
