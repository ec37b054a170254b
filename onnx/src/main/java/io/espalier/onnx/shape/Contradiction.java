package io.espalier.onnx.shape;

import io.espalier.onnx.model.OnnxNode;

/**
 * A node that can't run, whatever the model is given.
 *
 * @param node the node
 * @param words what it takes and why that can't be, such as {@code takes [2, 3] and [4, 5], which
 *     don't multiply}
 */
public record Contradiction(OnnxNode node, String words) {}
