/**
 * The one room that knows libtorch's raw edges: start-up and threads, the dispatcher, memory
 * segments over tensor data, and native errors turned into exceptions.
 *
 * <p>{@code Tensor} is libtorch's own, {@link org.bytedeco.pytorch.Tensor}: there is no wrapper.
 */
@NullMarked
package io.espalier.tensor;

import org.jspecify.annotations.NullMarked;
