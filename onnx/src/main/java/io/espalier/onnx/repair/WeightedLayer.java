package io.espalier.onnx.repair;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxNode;

import org.jspecify.annotations.Nullable;

import java.util.List;

/**
 * A convolution or a product with a constant matrix, whose weights can take in what is beside it.
 */
sealed interface WeightedLayer permits ConvLayer, MatrixLayer {
    /** Weights that others read too are doubled only if they are so few bytes. */
    long SMALL = 4096;

    /** The layer that this node is, with the addition of a bias after it; null if it is none. */
    static @Nullable WeightedLayer of(Subject subject, OnnxNode node) {
        WeightedLayer conv = ConvLayer.of(subject.graph(), node);
        return conv != null ? conv : MatrixLayer.of(subject, node);
    }

    /** Weights that may be changed for a node: constants of finite floats that are its own. */
    static @Nullable ConstantTensor weights(OnnxGraph graph, OnnxNode node, int input) {
        ConstantTensor weights = Constants.floats(graph, node.input(input));
        boolean own =
                weights != null
                        && (weights.byteSize() <= SMALL
                                || Constants.goesWith(graph, node.input(input), node));
        return own ? weights : null;
    }

    /** A layer's bias: zeros where it has none; null if it isn't known, or not one per channel. */
    static double @Nullable [] bias(OnnxGraph graph, String value, int channels) {
        var bias = new double[channels];
        if (value.isEmpty()) {
            return bias;
        }
        ConstantTensor constant = Constants.floats(graph, value);
        if (constant == null
                || (constant.elements() != channels && constant.elements() != 1)
                || constant.shape().size() > 2
                || (constant.shape().size() == 2 && constant.shape().getFirst() != 1)) {
            return null;
        }
        float[] values = constant.toFloats();
        for (int i = 0; i < channels; i++) {
            bias[i] = values[values.length == 1 ? 0 : i];
        }
        return bias;
    }

    /** A new constant of these values in floats. */
    static String add(OnnxGraph graph, String like, List<Long> shape, double[] values) {
        var floats = new float[values.length];
        for (int i = 0; i < floats.length; i++) {
            floats[i] = (float) values[i];
        }
        return graph.addConstant(like, ConstantTensor.floats(shape, floats));
    }

    /** What it computes from. */
    String input();

    /** What it gives. */
    String output();

    /** The number of dimensions that what it computes from has; its result has as many. */
    int rank();

    /** The dimension that channels lie along, in what it computes from and in its result. */
    int axis();

    int inputs();

    int outputs();

    /** Whether what follows it can go into its weights. */
    boolean canFollow(Affine affine);

    /**
     * Takes in what follows it, whose result it gives from now on; the layer that is there then.
     */
    OnnxNode follow(Affine affine, OnnxNode following);

    /** Whether what it computes from can go into its weights. */
    boolean canPrecede(Affine affine);

    /** Takes in what was done to its input, and reads another. */
    void precede(Affine affine, String input);

    /** Whether each channel of its result depends on each channel that it reads. */
    boolean isDense();

    ConstantTensor weights();

    double bias(int output);

    /** A weight's place, the channel that it reads and the channel that it writes. */
    interface Visitor {
        void visit(int at, int input, int output);
    }

    void forEach(Visitor visitor);

    /** For each channel of its result whether it is ever anything but zero. */
    default boolean[] writes() {
        float[] values = weights().toFloats();
        var writes = new boolean[outputs()];
        for (int i = 0; i < writes.length; i++) {
            writes[i] = bias(i) != 0;
        }
        forEach((at, input, output) -> writes[output] |= values[at] != 0);
        return writes;
    }

    /** For each channel that it reads whether its result depends on it. */
    default boolean[] reads() {
        float[] values = weights().toFloats();
        var reads = new boolean[inputs()];
        forEach((at, input, output) -> reads[input] |= values[at] != 0);
        return reads;
    }

    /** Gives only these channels from now on. */
    void keepOutputs(int[] channels);

    /** Reads only these channels from now on. */
    void keepInputs(int[] channels);
}
