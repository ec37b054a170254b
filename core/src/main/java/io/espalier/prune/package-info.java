/**
 * Pruning: masks on parameters, after {@code torch.nn.utils.prune}. {@link io.espalier.prune.Prune}
 * is the entry.
 */
@NullMarked
package io.espalier.prune;

import org.jspecify.annotations.NullMarked;
