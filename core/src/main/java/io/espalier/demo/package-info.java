/**
 * The main job on real data, start to end: a network is trained, pruned and quantized, and each
 * stage is measured. {@link CompressDigits} is the story; read it first.
 */
@Internal
@NullMarked
package io.espalier.demo;

import io.espalier.tensor.Internal;

import org.jspecify.annotations.NullMarked;
