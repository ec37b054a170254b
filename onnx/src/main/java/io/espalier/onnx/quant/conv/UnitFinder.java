package io.espalier.onnx.quant.conv;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.quant.conv.Unit.Activation;
import io.espalier.onnx.quant.conv.Unit.UniformAffine;
import io.espalier.onnx.run.CapturedValues;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/** Finds what of a graph could be computed in integers. */
final class UnitFinder {
    private static final long PICTURE_RANK = 4;

    private final OnnxGraph graph;
    private final Set<OnnxNode> taken = new HashSet<>();
    private final Set<String> pictures = new HashSet<>();
    private final List<Unit> units = new ArrayList<>();

    private UnitFinder(OnnxGraph graph) {
        this.graph = graph;
    }

    /** The units of a graph, none of whose nodes is in two, in the graph's order. */
    static List<Unit> find(OnnxGraph graph) {
        var finder = new UnitFinder(graph);
        for (OnnxNode node : graph.nodes()) {
            if (!finder.taken.contains(node)) {
                Unit unit = finder.unit(node);
                if (unit != null && !CapturedValues.reach(graph, unit.output())) {
                    finder.units.add(unit);
                    finder.taken.addAll(unit.nodes());
                    finder.pictures.add(unit.output());
                }
            }
        }
        return finder.units;
    }

    private @Nullable Unit unit(OnnxNode node) {
        if (!node.domain().isEmpty()) {
            return null;
        }
        return switch (node.op()) {
            case "Conv" -> convolution(node);
            case "Add" -> sum(node);
            case "Mul" -> gate(node);
            case "GlobalAveragePool" -> isPicture(node.input(0)) ? new Unit.Pool(node) : null;
            case "MaxPool" -> isPlainMaxPool(node) ? new Unit.Pool(node) : null;
            case "AveragePool" -> isPlainAveragePool(node) ? new Unit.Pool(node) : null;
            case "Concat" ->
                    node.integer("axis", 0) == 1 && node.inputs().stream().allMatch(this::isPicture)
                            ? new Unit.Joined(node)
                            : null;
            default -> null;
        };
    }

    /** Whether the value comes from a unit, [N, C, H, W]. */
    private boolean isPicture(String value) {
        return pictures.contains(value);
    }

    private @Nullable Unit convolution(OnnxNode node) {
        ConstantTensor weight = graph.constant(node.input(1));
        boolean known =
                weight != null
                        && weight.type() == ElementType.FLOAT
                        && weight.shape().size() == PICTURE_RANK
                        && weight.elements() > 0
                        && !graph.isOutput(node.output())
                        && (node.input(2).isEmpty() || graph.constant(node.input(2)) != null)
                        && isExplicitlyPadded(node);
        if (!known) {
            return null;
        }
        var nodes = new ArrayList<OnnxNode>(List.of(node));
        Activation activation = activation(node.output(), nodes);
        UniformAffine affine = null;
        if (activation == Activation.HARD_SWISH) {
            affine = affine(nodes.getLast().output(), nodes);
        }
        return new Unit.Convolution(node, activation, affine, List.copyOf(nodes));
    }

    private static boolean isExplicitlyPadded(OnnxNode node) {
        String how = node.text("auto_pad", "NOTSET");
        return how.equals("NOTSET") || how.equals("VALID");
    }

    /** What is done with a value that nobody else reads; its nodes are added to the list. */
    private Activation activation(String value, List<OnnxNode> nodes) {
        OnnxNode next = graph.onlyReader(value);
        if (next == null) {
            return silu(value, nodes) ? Activation.SILU : Activation.NONE;
        }
        Activation found =
                next.is("Relu")
                        ? Activation.RELU
                        : next.is("HardSwish")
                                ? Activation.HARD_SWISH
                                : isRelu6(next) ? Activation.RELU6 : Activation.NONE;
        if (found != Activation.NONE) {
            nodes.add(next);
        }
        return found;
    }

    private boolean isRelu6(OnnxNode node) {
        if (!node.is("Clip") || node.input(1).isEmpty() || node.input(2).isEmpty()) {
            return node.is("Clip")
                    && node.inputs().size() == 1
                    && node.number("min", -1) == 0
                    && node.number("max", -1) == 6;
        }
        return isScalar(node.input(1), 0) && isScalar(node.input(2), 6);
    }

    private boolean isScalar(String value, float expected) {
        ConstantTensor constant = graph.constant(value);
        return constant != null
                && constant.elements() == 1
                && constant.type().isFloating()
                && constant.toFloats()[0] == expected;
    }

    /** x · sigmoid(x), spelled out: two readers of one value, which meet. */
    private boolean silu(String value, List<OnnxNode> nodes) {
        List<OnnxNode> readers = graph.readers(value);
        if (readers.size() != 2 || graph.isOutput(value)) {
            return false;
        }
        for (OnnxNode sigmoid : readers) {
            OnnxNode product = graph.onlyReader(sigmoid.output());
            if (sigmoid.is("Sigmoid")
                    && product != null
                    && product.is("Mul")
                    && product.inputs().contains(value)
                    && readers.contains(product)) {
                nodes.add(sigmoid);
                nodes.add(product);
                return true;
            }
        }
        return false;
    }

    /** A scale and a shift that are the same for all channels, as two nodes or a normalization. */
    private @Nullable UniformAffine affine(String value, List<OnnxNode> nodes) {
        OnnxNode next = graph.onlyReader(value);
        if (next == null) {
            return null;
        }
        if (next.is("BatchNormalization")) {
            UniformAffine affine = uniform(next);
            if (affine != null) {
                nodes.add(next);
            }
            return affine;
        }
        Float scale = next.is("Mul") ? otherScalar(next, value) : null;
        OnnxNode sum = scale == null ? null : graph.onlyReader(next.output());
        Float shift = sum != null && sum.is("Add") ? otherScalar(sum, next.output()) : null;
        if (scale == null || sum == null || shift == null || scale <= 0) {
            return null;
        }
        nodes.add(next);
        nodes.add(sum);
        return new UniformAffine(scale, shift);
    }

    private @Nullable Float otherScalar(OnnxNode node, String value) {
        String other = node.input(0).equals(value) ? node.input(1) : node.input(0);
        ConstantTensor constant = graph.constant(other);
        return constant != null && constant.elements() == 1 && constant.shape().size() <= 1
                ? constant.toFloats()[0]
                : null;
    }

    private @Nullable UniformAffine uniform(OnnxNode node) {
        var parts = new float[4][];
        for (int i = 0; i < 4; i++) {
            ConstantTensor constant = graph.constant(node.input(i + 1));
            if (constant == null || constant.elements() == 0) {
                return null;
            }
            parts[i] = constant.toFloats();
            for (float each : parts[i]) {
                if (each != parts[i][0]) {
                    return null;
                }
            }
        }
        double deviation = Math.sqrt(parts[3][0] + node.number("epsilon", 1e-5f));
        float scale = (float) (parts[0][0] / deviation);
        float shift = (float) (parts[1][0] - parts[2][0] * parts[0][0] / deviation);
        return scale > 0 && Float.isFinite(scale) ? new UniformAffine(scale, shift) : null;
    }

    private @Nullable Unit sum(OnnxNode node) {
        if (!node.inputs().stream().allMatch(this::isPicture)) {
            return null;
        }
        OnnxNode next = graph.onlyReader(node.output());
        return next != null && next.is("Relu")
                ? new Unit.Sum(node, true, List.of(node, next))
                : new Unit.Sum(node, false, List.of(node));
    }

    /** A picture times what a sigmoid of its means gave. */
    private @Nullable Unit gate(OnnxNode node) {
        for (int i = 0; i < 2; i++) {
            String factor = node.input(1 - i);
            OnnxNode maker = graph.producer(factor);
            if (isPicture(node.input(i))
                    && maker != null
                    && (maker.is("Sigmoid") || maker.is("HardSigmoid"))
                    && comesFromMeans(factor)) {
                return new Unit.Gate(node, node.input(i), factor);
            }
        }
        return null;
    }

    /** Whether a value is made of a global mean by convolutions of one by one and activations. */
    private boolean comesFromMeans(String value) {
        OnnxNode maker = graph.producer(value);
        for (int steps = 0; maker != null && steps < 8; steps++) {
            if (maker.is("GlobalAveragePool")) {
                return true;
            }
            if (maker.is("ReduceMean") && maker.integer("keepdims", 1) == 1) {
                return true;
            }
            maker = maker.inputs().isEmpty() ? null : graph.producer(maker.input(0));
        }
        return false;
    }

    private boolean isPlainMaxPool(OnnxNode node) {
        return isPicture(node.input(0)) && node.outputs().size() == 1 && isExplicitlyPadded(node);
    }

    /** A mean of whole windows alone: a convolution with equal weights. */
    private boolean isPlainAveragePool(OnnxNode node) {
        return isPicture(node.input(0))
                && isExplicitlyPadded(node)
                && node.integer("ceil_mode", 0) == 0
                && node.integers("pads").stream().allMatch(pad -> pad == 0);
    }
}
