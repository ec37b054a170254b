/**
 * Channels that can only go together: which they are, and what is left when some of them go. What a
 * model is written in stays outside.
 */
@Internal
@NullMarked
package io.espalier.slim;

import io.espalier.tensor.Internal;

import org.jspecify.annotations.NullMarked;
