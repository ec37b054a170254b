package io.espalier.onnx.compare;

import io.espalier.quant.evaluation.TensorErrors;

/**
 * How far one value of a model is from the value of the same name in another, over all inputs.
 *
 * @param name of the value
 * @param op the operator that makes it in the first model
 * @param maxError the largest absolute difference
 * @param relativeError the length of all differences by that of all values of the first model
 * @param shiftFreeError the relative error but for what is added to each channel, the last
 *     dimension, in all rows alike: quantizing lays channels about zero so, and makes up for it in
 *     the products that read them; the relative error itself where that is not known
 * @param cosine of the angle between all values of the one and all of the other; 1 is the same
 */
public record ValueError(
        String name,
        String op,
        double maxError,
        double relativeError,
        double shiftFreeError,
        double cosine) {
    static ValueError of(String name, String op, TensorErrors errors, ShiftFreeError shiftFree) {
        double relative = errors.relative();
        return new ValueError(
                name, op, errors.largest(), relative, shiftFree.orElse(relative), errors.cosine());
    }
}
