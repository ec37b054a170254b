package io.espalier.onnx.repair;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxNode;

import org.jspecify.annotations.Nullable;

import java.util.Arrays;
import java.util.List;

/**
 * {@code scale·x + shift} for each channel, as a BatchNormalization or arithmetic with a constant.
 */
final class Affine {
    private final double[] scale;
    private final double[] shift;

    private Affine(double[] scale, double[] shift) {
        this.scale = scale;
        this.shift = shift;
    }

    double scale(int channel) {
        return scale[channel];
    }

    double shift(int channel) {
        return shift[channel];
    }

    boolean shifts() {
        return Arrays.stream(shift).anyMatch(s -> s != 0);
    }

    boolean scales() {
        return Arrays.stream(scale).anyMatch(s -> s != 1);
    }

    int channels() {
        return scale.length;
    }

    /** This one and then another. */
    Affine then(Affine next) {
        var product = new double[scale.length];
        var sum = new double[scale.length];
        for (int i = 0; i < scale.length; i++) {
            product[i] = scale[i] * next.scale[i];
            sum[i] = shift[i] * next.scale[i] + next.shift[i];
        }
        return new Affine(product, sum);
    }

    /**
     * What a node does to one of its inputs; null if it is nothing of the kind.
     *
     * @param rank the input's number of dimensions; constants of more would add some
     * @param axis the dimension that the channels lie along
     */
    static @Nullable Affine of(
            OnnxGraph graph, OnnxNode node, String input, int rank, int axis, int channels) {
        if (node.is("BatchNormalization")) {
            return axis == 1 && node.input(0).equals(input)
                    ? ofNormalization(graph, node, channels)
                    : null;
        }
        boolean arithmetic = node.is("Mul") || node.is("Add") || node.is("Sub") || node.is("Div");
        if (!arithmetic || node.inputs().size() != 2 || node.input(0).equals(node.input(1))) {
            return null;
        }
        boolean first = node.input(0).equals(input);
        ConstantTensor constant = Constants.floats(graph, node.input(first ? 1 : 0));
        double[] values = constant == null ? null : alongAxis(constant, rank, axis, channels);
        if (values == null) {
            return null;
        }
        double[] zeros = new double[channels];
        return switch (node.op()) {
            case "Mul" -> new Affine(values, zeros);
            case "Add" -> new Affine(filled(channels, 1), values);
            case "Sub" ->
                    first
                            ? new Affine(filled(channels, 1), map(values, v -> -v))
                            : new Affine(filled(channels, -1), values);
            default -> first ? finite(new Affine(map(values, v -> 1 / v), zeros)) : null;
        };
    }

    private static @Nullable Affine ofNormalization(OnnxGraph graph, OnnxNode node, int channels) {
        boolean plain =
                node.integer("training_mode", 0) == 0
                        && node.integer("spatial", 1) == 1
                        && node.outputs().stream().skip(1).allMatch(String::isEmpty);
        var parts = new float[4][];
        for (int i = 0; i < 4; i++) {
            ConstantTensor part = Constants.floats(graph, node.input(i + 1));
            if (!plain || part == null || part.elements() != channels) {
                return null;
            }
            parts[i] = part.toFloats();
        }
        double epsilon = node.number("epsilon", 1e-5f);
        var scale = new double[channels];
        var shift = new double[channels];
        for (int i = 0; i < channels; i++) {
            scale[i] = parts[0][i] / Math.sqrt(parts[3][i] + epsilon);
            shift[i] = parts[1][i] - parts[2][i] * scale[i];
        }
        return finite(new Affine(scale, shift));
    }

    /** A constant's values by channel; null if it differs along another dimension, or adds one. */
    private static double @Nullable [] alongAxis(
            ConstantTensor constant, int rank, int axis, int channels) {
        List<Long> shape = constant.shape();
        if (shape.size() > rank) {
            return null;
        }
        if (constant.elements() == 1) {
            return filled(channels, constant.toFloats()[0]);
        }
        int place = axis - (rank - shape.size());
        if (place < 0 || shape.get(place) != channels || constant.elements() != channels) {
            return null;
        }
        return map(toDoubles(constant), v -> v);
    }

    private static double[] toDoubles(ConstantTensor constant) {
        float[] floats = constant.toFloats();
        var doubles = new double[floats.length];
        for (int i = 0; i < floats.length; i++) {
            doubles[i] = floats[i];
        }
        return doubles;
    }

    private static double[] filled(int channels, double value) {
        var values = new double[channels];
        Arrays.fill(values, value);
        return values;
    }

    private static double[] map(double[] values, java.util.function.DoubleUnaryOperator each) {
        return Arrays.stream(values).map(each).toArray();
    }

    private static @Nullable Affine finite(Affine affine) {
        boolean finite =
                Arrays.stream(affine.scale).allMatch(Double::isFinite)
                        && Arrays.stream(affine.shift).allMatch(Double::isFinite);
        return finite ? affine : null;
    }
}
