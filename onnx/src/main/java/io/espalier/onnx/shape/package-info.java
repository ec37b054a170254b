/** What is known of a graph's values before it runs: types, extents, small integers, costs. */
@NullMarked
package io.espalier.onnx.shape;

import org.jspecify.annotations.NullMarked;
