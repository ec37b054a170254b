/**
 * The main job on real data, start to end: a network is trained, pruned and quantized, and each
 * stage is measured. {@link CompressDigits} is the story; read it first.
 */
@NullMarked
package io.espalier.demo;

import org.jspecify.annotations.NullMarked;
