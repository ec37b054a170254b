/**
 * Training: losses, optimizers' settings, learning-rate schedules, metrics, and the loop that puts
 * them together.
 */
@NullMarked
package io.espalier.train;

import org.jspecify.annotations.NullMarked;
