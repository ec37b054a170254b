package io.espalier.onnx.quant.conv;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxNode;

import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Supplier;

/**
 * Decides the numbers of a quantized model while it is written, node by node: it is shown each node
 * that was written, and asked about the next.
 */
interface Calibrator {
    /** A constant was written. */
    void wrote(String name, ConstantTensor constant);

    /** A node was written. */
    void wrote(OnnxNode node);

    /** Whom to ask which of the values that were written will still be read. */
    void begin(Supplier<Set<String>> live);

    /** Codes for a float value that was written. */
    AffineScale ofFloats(String value);

    /** Codes for what some nodes would give, which are not written. */
    AffineScale ofFloats(Trial trial);

    /** Codes for what a function makes of the codes of a value that was written. */
    AffineScale ofFunction(
            IntegerValue value, Sample.Function function, Sample.Candidate candidate);

    /**
     * The weight that a convolution should have in place of its own.
     *
     * @param input nodes that give its input as floats, last, from what was written; none where
     *     that is written
     */
    ConstantTensor weight(OnnxNode node, ConstantTensor weight, List<OnnxNode> input);

    /** What a layer's bias should be for its outputs to have the float model's means. */
    float[] bias(String output, float[] bias, Trial withBias);

    /**
     * The same for a convolution in integers, and codes for what it gives before its activation.
     */
    Fit fit(String output, float[] bias, Trial withBias, Unit.Activation activation);

    /** A convolution's numbers. */
    final class Fit {
        private final float[] bias;
        private final AffineScale scale;

        Fit(float[] bias, AffineScale scale) {
            this.bias = bias;
            this.scale = scale;
        }

        float[] bias() {
            return bias;
        }

        AffineScale scale() {
            return scale;
        }
    }

    /**
     * Nodes that give a float value, [N, C, H, W], from what was written.
     *
     * @param constants what they read besides
     */
    record Trial(List<OnnxNode> nodes, Map<String, ConstantTensor> constants, String result) {}
}
