package io.espalier.onnx.quant.conv;

/**
 * How weights become integers.
 *
 * @param limit the largest code: 127, or 63 for machines on which sums of two products of 8 bits
 *     saturate
 * @param storesFloats whether weights of what stays float are kept as integers too, which costs
 *     nothing when the model runs
 */
record WeightRounding(int limit, boolean storesFloats) {
    static final WeightRounding DEFAULT = new WeightRounding(127, true);
}
