package io.espalier.onnx.quant.conv;

/**
 * A value of the float graph in its form as integers, [N, H, W, C].
 *
 * @param codes the name of the tensor of unsigned bytes
 * @param scale how they stand for numbers
 */
record IntegerValue(String codes, AffineScale scale) {}
