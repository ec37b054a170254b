package io.espalier.onnx.slim;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.slim.KnownNumbers;

import org.jspecify.annotations.Nullable;

import java.util.Arrays;
import java.util.List;

/**
 * A layer with constant weights, as sums over channels: output o of channel i by all weights that
 * stand between them.
 */
final class ConstantLayer {
    private final OnnxNode node;
    private final double[] sums;
    private final boolean[] isZero;
    private final double[] bias;
    private final int inputs;
    private final int outputs;
    private final int inputDimension;
    private final int outputDimension;
    private final long groups;

    private ConstantLayer(
            OnnxNode node, ConstantTensor weights, double[] bias, int rank, Layout layout) {
        this.node = node;
        this.bias = bias;
        groups = layout.groups();
        List<Long> shape = weights.shape();
        outputs = (int) (long) shape.get(layout.outputs());
        inputs = (int) (long) shape.get(1 - layout.outputs());
        int window = (int) (weights.elements() / Math.max(1, (long) outputs * inputs));
        sums = new double[outputs * inputs];
        isZero = new boolean[outputs * inputs];
        Arrays.fill(isZero, true);
        boolean isConvolution = node.is("Conv");
        inputDimension = isConvolution ? 1 : rank - 1;
        outputDimension = inputDimension;
        double[] values = RealNumbers.of(weights);
        for (int k = 0; k < values.length; k++) {
            int pair = k / window;
            int second = (int) (long) shape.get(1);
            int at = layout.outputs() == 0 ? pair : pair % second * inputs + pair / second;
            sums[at] += values[k];
            isZero[at] &= values[k] == 0;
        }
    }

    /** Which of a weight's first two dimensions its outputs lie along, and its groups. */
    private record Layout(int outputs, long groups) {}

    /** The layer that a node is; null if it is none whose weights and bias are constant floats. */
    static @Nullable ConstantLayer of(OnnxGraph graph, OnnxNode node, int rank) {
        ConstantTensor weights = floats(graph, node.input(1));
        ConstantTensor shift = floats(graph, node.input(2));
        boolean isGemm = node.is("Gemm");
        boolean isPlain =
                node.is("Conv")
                        || (node.is("MatMul") && weights != null && weights.shape().size() == 2)
                        || (isGemm
                                && node.integer("transA", 0) == 0
                                && node.number("alpha", 1) == 1
                                && node.number("beta", 1) == 1);
        if (weights == null || !isPlain || (shift == null && !node.input(2).isEmpty())) {
            return null;
        }
        boolean outputsFirst = node.is("Conv") || node.integer("transB", 0) != 0;
        var layout = new Layout(outputsFirst ? 0 : 1, node.integer("group", 1));
        double[] bias = new double[(int) (long) weights.shape().get(layout.outputs())];
        if (shift != null && shift.elements() == bias.length) {
            bias = RealNumbers.of(shift);
        } else if (shift != null && shift.elements() == 1) {
            Arrays.fill(bias, RealNumbers.of(shift)[0]);
        } else if (shift != null) {
            return null;
        }
        return new ConstantLayer(node, weights, bias, rank, layout);
    }

    private static @Nullable ConstantTensor floats(OnnxGraph graph, String name) {
        ConstantTensor constant = graph.constant(name);
        return constant != null && constant.type().isFloating() ? constant : null;
    }

    /** The dimension of what it reads that its inputs lie along. */
    int inputDimension() {
        return inputDimension;
    }

    /** Whether a channel that is everywhere the same is that in the sum, at the border too. */
    boolean hasNoBorder() {
        String padding = node.text("auto_pad", "NOTSET");
        return !node.is("Conv")
                || padding.equals("VALID")
                || (padding.equals("NOTSET")
                        && node.integers("pads").stream().allMatch(pad -> pad == 0));
    }

    /** The channels that come out the same everywhere, given those that come in so. */
    KnownNumbers outputs(@Nullable KnownNumbers given) {
        double[] numbers = new double[outputs];
        KnownNumbers in = given != null && given.dimension() == inputDimension ? given : null;
        for (int o = 0; o < outputs; o++) {
            double sum = bias[o];
            for (int i = 0; i < inputs; i++) {
                int channel = channel(o, i);
                if (isZero[o * inputs + i] || (in != null && in.isZero(channel))) {
                    continue;
                }
                boolean same = in != null && in.isKnown(channel) && hasNoBorder();
                sum +=
                        same && in != null
                                ? in.numbers()[channel] * sums[o * inputs + i]
                                : Double.NaN;
            }
            numbers[o] = sum;
        }
        return new KnownNumbers(outputDimension, numbers);
    }

    /** The channel that an output reads as its group's input i. */
    private int channel(int output, int input) {
        return (int) (output / (outputs / groups)) * inputs + input;
    }

    /** What some channels of these numbers add to each output. */
    double[] shift(KnownNumbers given, int channel) {
        double[] shift = new double[outputs];
        for (int o = 0; o < outputs; o++) {
            int input = channel - channel(o, 0);
            if (input >= 0 && input < inputs) {
                shift[o] = given.numbers()[channel] * sums[o * inputs + input];
            }
        }
        return shift;
    }
}
