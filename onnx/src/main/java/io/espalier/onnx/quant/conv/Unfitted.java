package io.espalier.onnx.quant.conv;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxNode;

import java.util.List;
import java.util.Set;
import java.util.function.Supplier;

/** Numbers of no meaning, for a model whose time alone is of interest. */
final class Unfitted implements Calibrator {
    private static final AffineScale ANY = AffineScale.of(-1, 3);

    @Override
    public void wrote(String name, ConstantTensor constant) {}

    @Override
    public void wrote(OnnxNode node) {}

    @Override
    public void begin(Supplier<Set<String>> live) {}

    @Override
    public AffineScale ofFloats(String value) {
        return ANY;
    }

    @Override
    public AffineScale ofFloats(Trial trial) {
        return ANY;
    }

    @Override
    public AffineScale ofFunction(
            IntegerValue value, Sample.Function function, Sample.Candidate candidate) {
        return candidate.of(1);
    }

    @Override
    public ConstantTensor weight(OnnxNode node, ConstantTensor weight, List<OnnxNode> input) {
        return weight;
    }

    @Override
    public float[] bias(String output, float[] bias, Trial withBias) {
        return bias;
    }

    @Override
    public Fit fit(String output, float[] bias, Trial withBias, Unit.Activation activation) {
        return new Fit(
                bias,
                activation == Unit.Activation.HARD_SWISH ? AffineScale.fromMinusThree(3) : ANY);
    }
}
