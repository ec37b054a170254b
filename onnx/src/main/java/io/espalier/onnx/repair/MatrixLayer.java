package io.espalier.onnx.repair;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxNode;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.List;

/** A Gemm, or a MatMul with the Add of a bias that may follow it, by a constant matrix. */
final class MatrixLayer implements WeightedLayer {
    private final OnnxGraph graph;
    private final OnnxNode node;
    private final @Nullable OnnxNode add;
    private final int rank;
    private final ConstantTensor weights;
    private final double[] bias;

    private MatrixLayer(
            OnnxGraph graph,
            OnnxNode node,
            @Nullable OnnxNode add,
            int rank,
            ConstantTensor weights,
            double[] bias) {
        this.graph = graph;
        this.node = node;
        this.add = add;
        this.rank = rank;
        this.weights = weights;
        this.bias = bias;
    }

    static @Nullable MatrixLayer of(Subject subject, OnnxNode node) {
        if (!node.is("MatMul") && !node.is("Gemm")) {
            return null;
        }
        OnnxGraph graph = subject.graph();
        ConstantTensor weights = WeightedLayer.weights(graph, node, 1);
        if (weights == null || weights.shape().size() != 2 || weights.elements() == 0) {
            return null;
        }
        int outputs = Math.toIntExact(weights.shape().get(node.integer("transB", 0) == 1 ? 0 : 1));
        if (node.is("Gemm")) {
            double[] bias = WeightedLayer.bias(graph, node.input(2), outputs);
            return bias == null ? null : new MatrixLayer(graph, node, null, 2, weights, bias);
        }
        // Where nothing is known, no constant of more dimensions than one can add any.
        int rank = Math.max(1, subject.rank(node.input(0)));
        OnnxNode add = graph.onlyReader(node.output());
        double[] bias = add == null ? null : bias(graph, add, node.output(), outputs);
        return bias == null
                ? new MatrixLayer(graph, node, null, rank, weights, new double[outputs])
                : new MatrixLayer(graph, node, add, rank, weights, bias);
    }

    private static double @Nullable [] bias(
            OnnxGraph graph, OnnxNode add, String product, int outputs) {
        if (!add.is("Add") || add.input(0).equals(add.input(1))) {
            return null;
        }
        String other = Constants.other(add, product);
        ConstantTensor constant = Constants.floats(graph, other);
        return constant != null && constant.shape().size() <= 1
                ? WeightedLayer.bias(graph, other, outputs)
                : null;
    }

    private boolean isGemm() {
        return node.is("Gemm");
    }

    private boolean transposed() {
        return node.integer("transB", 0) == 1;
    }

    @Override
    public String input() {
        return node.input(0);
    }

    @Override
    public String output() {
        return add == null ? node.output() : add.output();
    }

    @Override
    public int rank() {
        return rank;
    }

    @Override
    public int axis() {
        return rank - 1;
    }

    @Override
    public int inputs() {
        return Math.toIntExact(weights.shape().get(transposed() ? 1 : 0));
    }

    @Override
    public ConstantTensor weights() {
        return weights;
    }

    @Override
    public double bias(int output) {
        return bias[output];
    }

    @Override
    public int outputs() {
        return bias.length;
    }

    /** Whether there is a place for a bias; a MatMul's own result has none. */
    private boolean takesBias() {
        return isGemm() || add != null;
    }

    @Override
    public boolean canFollow(Affine affine) {
        return !affine.shifts() || takesBias();
    }

    @Override
    public OnnxNode follow(Affine affine, OnnxNode following) {
        float[] values = weights.toFloats();
        forEach((at, input, output) -> values[at] = (float) (values[at] * affine.scale(output)));
        for (int i = 0; i < bias.length; i++) {
            bias[i] = beta() * bias[i] * affine.scale(i) + affine.shift(i);
        }
        graph.remove(following);
        return replace(values, node.input(0), following.output());
    }

    @Override
    public boolean canPrecede(Affine affine) {
        return node.integer("transA", 0) == 0 && canFollow(affine);
    }

    @Override
    public void precede(Affine affine, String input) {
        float[] values = weights.toFloats();
        double alpha = node.number("alpha", 1);
        for (int i = 0; i < bias.length; i++) {
            bias[i] *= beta();
        }
        forEach((at, from, to) -> {
            bias[to] += alpha * values[at] * affine.shift(from);
            values[at] = (float) (values[at] * affine.scale(from));
        });
        replace(values, input, output());
    }

    private double beta() {
        return node.number("beta", 1);
    }

    private OnnxNode replace(float[] values, String input, String output) {
        return replace(ConstantTensor.floats(weights.shape(), values), bias, input, output);
    }

    private OnnxNode replace(ConstantTensor weights, double[] bias, String input, String output) {
        String w = graph.addConstant(node.input(1), weights);
        if (add == null) {
            var inputs = new ArrayList<>(List.of(input, w));
            if (isGemm()) {
                String like = node.input(2).isEmpty() ? w + "_bias" : node.input(2);
                inputs.add(bias(like, bias));
            }
            OnnxNode replacement =
                    node.without("beta").withInputs(inputs).withOutputs(List.of(output));
            graph.replace(node, replacement);
            return replacement;
        }
        OnnxNode product = node.withInputs(List.of(input, w));
        String old = Constants.other(add, node.output());
        OnnxNode sum =
                add.withInputs(List.of(node.output(), bias(old, bias)))
                        .withOutputs(List.of(output));
        graph.replace(node, product);
        graph.replace(add, sum);
        return product;
    }

    private String bias(String like, double[] bias) {
        return WeightedLayer.add(graph, like, List.of((long) bias.length), bias);
    }

    @Override
    public boolean isDense() {
        return true;
    }

    @Override
    public void keepOutputs(int[] channels) {
        var kept = new double[channels.length];
        for (int i = 0; i < kept.length; i++) {
            kept[i] = beta() * bias[channels[i]];
        }
        ConstantTensor fewer = Channels.keep(weights, transposed() ? 0 : 1, channels);
        replace(fewer, kept, node.input(0), output());
    }

    @Override
    public void keepInputs(int[] channels) {
        var same = bias.clone();
        for (int i = 0; i < same.length; i++) {
            same[i] *= beta();
        }
        ConstantTensor fewer = Channels.keep(weights, transposed() ? 1 : 0, channels);
        replace(fewer, same, node.input(0), output());
    }

    @Override
    public void forEach(Visitor visitor) {
        int rows = Math.toIntExact(weights.shape().get(0));
        int columns = Math.toIntExact(weights.shape().get(1));
        for (int row = 0; row < rows; row++) {
            for (int column = 0; column < columns; column++) {
                visitor.visit(
                        row * columns + column,
                        transposed() ? column : row,
                        transposed() ? row : column);
            }
        }
    }
}
