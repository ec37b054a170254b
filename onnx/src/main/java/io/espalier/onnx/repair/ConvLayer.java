package io.espalier.onnx.repair;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxNode;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.List;

/** A convolution with constant weights, transposed or not. */
final class ConvLayer implements WeightedLayer {
    private final OnnxGraph graph;
    private final OnnxNode node;
    private final List<Long> shape;
    private final ConstantTensor weights;
    private final double[] bias;
    private final int groups;
    private final boolean transposed;

    private ConvLayer(
            OnnxGraph graph, OnnxNode node, ConstantTensor weights, double[] bias, int groups) {
        this.graph = graph;
        this.node = node;
        this.weights = weights;
        this.shape = weights.shape();
        this.bias = bias;
        this.groups = groups;
        this.transposed = node.is("ConvTranspose");
    }

    static @Nullable ConvLayer of(OnnxGraph graph, OnnxNode node) {
        if (!node.is("Conv") && !node.is("ConvTranspose")) {
            return null;
        }
        ConstantTensor weights = WeightedLayer.weights(graph, node, 1);
        long groups = node.integer("group", 1);
        if (weights == null
                || weights.shape().size() < 3
                || groups < 1
                || weights.elements() == 0) {
            return null;
        }
        long outputs =
                node.is("ConvTranspose")
                        ? weights.shape().get(1) * groups
                        : weights.shape().getFirst();
        if (weights.shape().getFirst() % groups != 0) {
            return null;
        }
        double[] bias = WeightedLayer.bias(graph, node.input(2), Math.toIntExact(outputs));
        return bias == null
                ? null
                : new ConvLayer(graph, node, weights, bias, Math.toIntExact(groups));
    }

    @Override
    public String input() {
        return node.input(0);
    }

    @Override
    public String output() {
        return node.output();
    }

    @Override
    public int rank() {
        return shape.size();
    }

    @Override
    public int axis() {
        return 1;
    }

    @Override
    public int inputs() {
        return Math.toIntExact(transposed ? shape.get(0) : shape.get(1) * groups);
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

    boolean isDepthwise() {
        return groups > 1 && groups == inputs();
    }

    boolean isPadded() {
        String auto = node.text("auto_pad", "NOTSET");
        return !(auto.equals("NOTSET") || auto.equals("VALID"))
                || (auto.equals("NOTSET") && node.integers("pads").stream().anyMatch(p -> p != 0));
    }

    @Override
    public boolean canFollow(Affine affine) {
        return true;
    }

    @Override
    public OnnxNode follow(Affine affine, OnnxNode following) {
        float[] values = weights.toFloats();
        forEach((at, input, output) -> values[at] = (float) (values[at] * affine.scale(output)));
        for (int i = 0; i < bias.length; i++) {
            bias[i] = bias[i] * affine.scale(i) + affine.shift(i);
        }
        graph.remove(following);
        return replace(values, node.input(0), following.output());
    }

    @Override
    public boolean canPrecede(Affine affine) {
        // A padded border is zero, which a shift is not; so is what a transposed one spreads apart.
        return !affine.shifts() || (!isPadded() && !transposed);
    }

    @Override
    public void precede(Affine affine, String input) {
        float[] values = weights.toFloats();
        forEach((at, from, to) -> {
            bias[to] += values[at] * affine.shift(from);
            values[at] = (float) (values[at] * affine.scale(from));
        });
        replace(values, input, node.output());
    }

    private OnnxNode replace(float[] values, String input, String output) {
        return replace(shape, values, bias, input, output);
    }

    private OnnxNode replace(
            List<Long> shape, float[] values, double[] bias, String input, String output) {
        String w = graph.addConstant(node.input(1), ConstantTensor.floats(shape, values));
        var inputs = new ArrayList<>(List.of(input, w));
        boolean biased = !node.input(2).isEmpty();
        for (double b : bias) {
            biased |= b != 0;
        }
        if (biased) {
            String like = node.input(2).isEmpty() ? w + "_bias" : node.input(2);
            inputs.add(WeightedLayer.add(graph, like, List.of((long) bias.length), bias));
        }
        OnnxNode replacement = node.withInputs(inputs).withOutputs(List.of(output));
        graph.replace(node, replacement);
        return replacement;
    }

    @Override
    public boolean isDense() {
        return groups == 1 && !transposed;
    }

    @Override
    public void keepOutputs(int[] channels) {
        var kept = new double[channels.length];
        for (int i = 0; i < kept.length; i++) {
            kept[i] = bias[channels[i]];
        }
        ConstantTensor fewer = Channels.keep(weights, 0, channels);
        replace(fewer.shape(), fewer.toFloats(), kept, node.input(0), node.output());
    }

    @Override
    public void keepInputs(int[] channels) {
        ConstantTensor fewer = Channels.keep(weights, 1, channels);
        replace(fewer.shape(), fewer.toFloats(), bias, node.input(0), node.output());
    }

    @Override
    public void forEach(Visitor visitor) {
        int rows = Math.toIntExact(shape.get(0));
        int columns = Math.toIntExact(shape.get(1));
        int kernel = Math.toIntExact(weights.elements()) / rows / columns;
        int rowsOfGroup = rows / groups;
        for (int row = 0; row < rows; row++) {
            for (int column = 0; column < columns; column++) {
                int across = row / rowsOfGroup * columns + column;
                for (int k = 0; k < kernel; k++) {
                    int at = (row * columns + column) * kernel + k;
                    visitor.visit(at, transposed ? row : across, transposed ? across : row);
                }
            }
        }
    }
}
