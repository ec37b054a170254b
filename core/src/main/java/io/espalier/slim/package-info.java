/**
 * Channels that can only go together: which they are, and what is left when some of them go. What a
 * model is written in stays outside.
 */
@NullMarked
package io.espalier.slim;

import org.jspecify.annotations.NullMarked;
