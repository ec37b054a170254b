/**
 * A model as a program: traced from a module tree, printed, rewritten, and run.
 *
 * <p>{@link io.espalier.graph.GraphModule#trace} is the entry; a pass takes a {@link
 * io.espalier.graph.Graph} and gives another.
 */
@NullMarked
package io.espalier.graph;

import org.jspecify.annotations.NullMarked;
