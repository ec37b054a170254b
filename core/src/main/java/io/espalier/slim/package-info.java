/**
 * Channels that can only go together: which they are, and what is left when some of them go. {@link
 * io.espalier.slim.Slimming} takes them out of Java models; for other models the rules over {@link
 * io.espalier.slim.ChannelCall} serve too.
 */
@NullMarked
package io.espalier.slim;

import org.jspecify.annotations.NullMarked;
