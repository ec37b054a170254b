/**
 * What the library costs, beside what libtorch's own operators cost for the same in the same
 * process: {@link io.espalier.bench.Table} prints it at once, the JMH benchmarks measure one at a
 * time.
 */
@NullMarked
package io.espalier.bench;

import org.jspecify.annotations.NullMarked;
