/** The networks that the benchmarks run, with the names that torchvision gives their layers. */
@NullMarked
package io.espalier.bench.models;

import org.jspecify.annotations.NullMarked;
